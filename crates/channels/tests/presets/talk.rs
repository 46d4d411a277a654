//! Where people talk: LINE, Twilio, Meta, Intercom, Zendesk, Zoom, Amazon Connect, and the letters of SendGrid and SES.

use crate::common::of;
use expect_test::expect;

#[test]
fn line_joins_nobody_by_a_link_that_failed() {
    let settings = "preset = \"line\"\nscope = \"provider-1\"";
    let body = r#"{"destination":"U0","events":[
      {"type":"accountLink","webhookEventId":"01A","timestamp":1775008800123,"source":{"type":"user","userId":"U1"},"link":{"result":"ok","nonce":"bm9uY2U"}},
      {"type":"accountLink","webhookEventId":"01B","timestamp":1775008800123,"source":{"type":"user","userId":"U2"},"link":{"result":"failed","nonce":"bm9uY2U"}},
      {"type":"follow","webhookEventId":"01C","timestamp":1775008800123,"source":{"type":"user","userId":"U1"},"deliveryContext":{"isRedelivery":true}},
      {"type":"message","webhookEventId":"01D","timestamp":1775008800123,"source":{"type":"group","groupId":"G1","userId":"U1"},"message":{"type":"text","id":"1","text":"営業時間は？"}},
      {"type":"join","webhookEventId":"01E","timestamp":1775008800123,"source":{"type":"group","groupId":"G1"}},
      {"type":"beacon","webhookEventId":"01F","timestamp":1775008800123,"source":{"type":"user","userId":"U1"},"beacon":{"type":"enter","hwid":"d41d8cd98f"}},
      {"type":"somethingNew","webhookEventId":"01G","timestamp":1775008800123,"source":{"type":"user","userId":"U1"}}]}"#;
    expect![[r#"
        social account_linked 01A 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U1 line_link_nonce:bm9uY2U
        social account_link_failed 01B 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U2
        social friend_added 01C 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U1
          consent {"line_marketing":true}
        social message_received 01D 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U1
          properties {"group":"G1","kind":"text","message_id":"1","text":"営業時間は？"}
        social store_visited 01F 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U1
          properties {"store_id":"d41d8cd98f"}
        social something_new 01G 2026-04-01T02:00:00.123000Z
          ids line_user_id:provider-1:U1
    "#]]
    .assert_eq(&of(settings, "", &[], body));
    assert_eq!(of(settings, "", &[], r#"{"destination":"U0","events":[]}"#), "", "the check of the connection");
}

#[test]
fn the_direction_tells_who_the_customer_is() {
    let call = "CallSid=CA1&CallStatus=ringing&Direction=inbound&From=%2B819012345678&To=%2B81312345678&Timestamp=Wed%2C+01+Apr+2026+02%3A00%3A00+%2B0000";
    let out = "CallSid=CA2&CallStatus=completed&Direction=outbound-api&From=%2B81312345678&To=%2B819012345678&SequenceNumber=3&CallDuration=60";
    let sms = "MessageSid=SM1&SmsStatus=received&From=%2B819012345678&To=%2B81312345678&Body=hello";
    let whatsapp =
        "MessageSid=SM2&MessageStatus=delivered&From=whatsapp%3A%2B81312345678&To=whatsapp%3A%2B819012345678";
    let mut told = String::new();
    for body in [call, out, sms, whatsapp] {
        told += &of("preset = \"twilio\"", "", &[("content-type", "application/x-www-form-urlencoded")], body);
    }
    expect![[r#"
        phone call_received CA1:ringing 2026-04-01T02:00:00Z
          ids phone:+819012345678
          properties {"company_number":"+81312345678","direction":"inbound","status":"ringing"}
        phone call_completed CA2:completed:3 2026-04-01T03:00:00Z
          ids phone:+819012345678
          properties {"company_number":"+81312345678","direction":"outbound-api","duration":"60","status":"completed"}
        sms message_received SM1:received 2026-04-01T03:00:00Z
          ids phone:+819012345678
          properties {"company_number":"+81312345678","status":"received","text":"hello"}
        chat message_delivered SM2:delivered 2026-04-01T03:00:00Z
          ids phone:+819012345678
          properties {"company_number":"whatsapp:+81312345678","status":"delivered"}
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_message_to_meta_is_by_whoever_is_not_the_page() {
    let body = r#"{"object":"instagram","entry":[{"id":"1784","time":1775008800,"messaging":[
      {"sender":{"id":"IGSID"},"recipient":{"id":"1784"},"timestamp":1775008800678,"message":{"mid":"m1","text":"こん"}},
      {"sender":{"id":"1784"},"recipient":{"id":"IGSID"},"timestamp":1775008800678,"message":{"mid":"m2","is_echo":true,"text":"はい"}}],
      "changes":[{"field":"comments","value":{"id":"c1","from":{"id":"IG2","username":"hanako"},"text":"欲しい"}},
                 {"field":"comments","value":{"id":"c2","from":{"id":"1784","username":"shop"},"text":"どうも"}}]}]}"#;
    expect![[r#"
        social message_received m1 2026-04-01T02:00:00.678000Z
          ids ig_scoped_id:1784:IGSID
          properties {"text":"こん"}
        social message_sent m2 2026-04-01T02:00:00.678000Z
          ids ig_scoped_id:1784:IGSID
          properties {"text":"はい"}
        social comment_posted c1 2026-04-01T02:00:00Z
          ids ig_scoped_id:1784:IG2
          traits {"social_name":"hanako"}
          properties {"text":"欲しい"}
    "#]]
    .assert_eq(&of("preset = \"meta\"", "", &[], body));
}

#[test]
fn the_help_desks_name_their_people() {
    let zendesk = r#"{"type":"zen:event-type:user.identity_changed","id":"z1","time":"2026-04-01T02:00:00Z","subject":"zen:user:77","detail":{"id":"77","email":"a@shop.jp","external_id":"u-1","name":"花子","organization_id":"9"}}"#;
    let ticket = r#"{"type":"zen:event-type:ticket.created","id":"z2","time":"2026-04-01T02:00:00Z","subject":"zen:ticket:5","detail":{"id":"5","requester_id":"77","subject":"返品","status":"OPEN"}}"#;
    let mut told = of("preset = \"zendesk\"\nscope = \"acme\"", "", &[], zendesk);
    told += &of("preset = \"zendesk\"\nscope = \"acme\"", "", &[], ticket);
    let chat = r#"{"type":"notification_event","id":"notif_1","topic":"conversation.user.created","created_at":1775008800,"data":{"item":{"type":"conversation","id":"55","source":{"subject":"","author":{"type":"user","id":"i-1","email":"a@shop.jp"}},"contacts":{"contacts":[{"type":"contact","id":"i-1","external_id":"u-1"}]}}}}"#;
    told += &of("preset = \"intercom\"", "", &[], chat);
    assert_eq!(of("preset = \"intercom\"", "", &[], r#"{"topic":"ping","id":"x"}"#), "");
    expect![[r#"
        support contact_updated z1 2026-04-01T02:00:00Z
          ids email:a@shop.jp user_id:u-1 zendesk_user_id:acme:77
          traits {"name":"花子"}
          context {"account":"9"}
        support ticket_created z2 2026-04-01T02:00:00Z
          ids zendesk_user_id:acme:77
          properties {"status":"OPEN","subject":"返品","ticket_id":"5"}
        chat chat_started notif_1 2026-04-01T02:00:00Z
          ids email:a@shop.jp intercom_contact_id:i-1 user_id:u-1
          properties {"conversation_id":"55","topic":"conversation.user.created"}
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_seminar_and_a_call_name_who_came() {
    let zoom = r#"{"event":"webinar.registration_created","event_ts":1775008800678,"payload":{"account_id":"A","object":{"uuid":"u==","id":"123","topic":"春の着物","registrant":{"id":"r1","email":"a@shop.jp","first_name":"花子","org":"Acme"}}}}"#;
    let joined = r#"{"event":"webinar.participant_joined","event_ts":1775008900678,"payload":{"object":{"uuid":"u==","id":"123","participant":{"user_id":"16","email":"a@shop.jp","registrant_id":"r1","participant_uuid":"pu","join_time":"2026-04-01T02:00:00Z"}}}}"#;
    let mut told = of("preset = \"zoom\"", "", &[], zoom);
    told += &of("preset = \"zoom\"", "", &[], joined);
    let settings =
        "preset = \"amazon-connect\"\nfields = { identifiers = { \"Attributes.member_no\" = \"loyalty_card\" } }";
    let record = r#"{"ContactId":"c-2","InitialContactId":"c-1","Channel":"VOICE","InitiationMethod":"INBOUND","CustomerEndpoint":{"Type":"TELEPHONE_NUMBER","Address":"+819012345678"},"Attributes":{"member_no":"4901234567894"},"InitiationTimestamp":"2026-04-01T02:00:00Z","LastUpdateTimestamp":"2026-04-01T02:10:00Z","Queue":{"Name":"returns"}}"#;
    told += &of(settings, "", &[], record);
    expect![[r#"
        webinar webinar_registered webinar.registration_created:u==:r1:1775008800678 2026-04-01T02:00:00.678000Z
          ids email:a@shop.jp zoom_registrant_id:123:r1
          traits {"company":"Acme","first_name":"花子"}
          properties {"topic":"春の着物","webinar_id":"123"}
        webinar webinar_attended webinar.participant_joined:u==:pu:1775008900678 2026-04-01T02:00:00Z
          ids email:a@shop.jp zoom_registrant_id:123:r1
          properties {"webinar_id":"123"}
        phone call_received c-2 2026-04-01T02:00:00Z
          ids phone:+819012345678 connect_contact_id:c-1
          properties {"contact_id":"c-2","queue":"returns"}
        phone contact_recorded c-2:2026-04-01T02:10:00Z 2026-04-01T02:10:00Z
          ids phone:+819012345678 connect_contact_id:c-1 loyalty_card:4901234567894
          properties {"attributes":{"member_no":"4901234567894"},"contact_id":"c-2"}
    "#]]
    .assert_eq(&told);
}

#[test]
fn letters_are_to_their_addresses() {
    let sendgrid = "[{\"email\":\"a@shop.jp\",\"timestamp\":1775008800,\"event\":\"click\",\"sg_event_id\":\"e1\",\"url\":\"https://shop.jp\"},{\"email\":\"b@shop.jp\",\"timestamp\":1775008800,\"event\":\"unsubscribe\",\"sg_event_id\":\"e2\"}]\r\n";
    let mut told = of("preset = \"sendgrid\"", "", &[], sendgrid);
    let ses = r#"{"Type":"Notification","MessageId":"sns-1","Message":"{\"eventType\":\"Open\",\"mail\":{\"messageId\":\"m-1\",\"timestamp\":\"2026-04-01T01:00:00.000Z\",\"destination\":[\"a@shop.jp\",\"b@shop.jp\"]},\"open\":{\"timestamp\":\"2026-04-01T02:00:00.000Z\"}}"}"#;
    told += &of("preset = \"ses\"", "", &[("content-type", "text/plain")], ses);
    expect![[r#"
        email email_link_clicked e1 2026-04-01T02:00:00Z
          ids email:a@shop.jp
          properties {"url":"https://shop.jp"}
        email newsletter_unsubscribed e2 2026-04-01T02:00:00Z
          ids email:b@shop.jp
          consent {"email_marketing":false}
        email email_opened m-1:Open:2026-04-01T02:00:00.000Z:0 2026-04-01T02:00:00Z
          ids email:a@shop.jp
        email email_opened m-1:Open:2026-04-01T02:00:00.000Z:1 2026-04-01T02:00:00Z
          ids email:b@shop.jp
    "#]]
    .assert_eq(&told);
}
