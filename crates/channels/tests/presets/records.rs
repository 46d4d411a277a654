//! CRM changes, records of topics, rows of files.

use crate::common::{of, open, received, told};
use expect_test::expect;
use musubi_channels::files::Rows;
use musubi_channels::{Record, Row};

#[test]
fn hubspot_and_salesforce_name_their_contacts() {
    let hubspot = r#"[{"eventId":1,"subscriptionId":2,"subscriptionType":"contact.propertyChange","objectId":51,"propertyName":"email","propertyValue":"a@shop.jp","occurredAt":1775008800123,"attemptNumber":3},
      {"eventId":2,"subscriptionId":3,"subscriptionType":"contact.merge","objectId":51,"primaryObjectId":51,"mergedObjectIds":[52,53],"occurredAt":1775008800123},
      {"eventId":3,"subscriptionType":"contact.privacyDeletion","objectId":51}]"#;
    let mut out = of("preset = \"hubspot\"\nscope = \"portal-1\"", "", &[], hubspot);
    let salesforce = r#"[{"payload":{"ChangeEventHeader":{"entityName":"Contact","recordIds":["0035g00000Ab1cdAAB"],"changeType":"UPDATE","transactionKey":"tk","sequenceNumber":1,"commitTimestamp":1775008800123,"changedFields":["Email"]},"Email":"a@shop.jp","AccountId":"0015g00000Xy9zzAAB"}},
      {"ChangeEventHeader":{"entityName":"Contact","recordIds":["003A","003B"],"changeType":"UPDATE","transactionKey":"tk","sequenceNumber":2,"commitTimestamp":1775008800123},"Email":"x@shop.jp"},
      {"ChangeEventHeader":{"entityName":"Lead","recordIds":["00Q*"],"changeType":"UPDATE"}},
      {"ChangeEventHeader":{"entityName":"Lead","recordIds":["00QA"],"changeType":"GAP_UPDATE"}}]"#;
    out += &of("preset = \"salesforce-cdc\"", "", &[], salesforce);
    expect![[r#"
        sales contact_updated 1:2 2026-04-01T02:00:00.123000Z
          ids email:a@shop.jp hubspot_contact_id:portal-1:51
          properties {"object_id":51,"property":"email"}
        sales contacts_merged 2:3 2026-04-01T02:00:00.123000Z
          ids hubspot_contact_id:portal-1:51 hubspot_contact_id:portal-1:52 hubspot_contact_id:portal-1:53
          properties {"object_id":51}
        aside item 2 ? erasure-request: HubSpot asks for the erasure of a contact: an operator has to decide
        sales contact_updated tk:1 2026-04-01T02:00:00.123000Z
          ids email:a@shop.jp salesforce_id:0035g00000Ab1cd
          properties {"changed":["Email"],"entity":"Contact"}
          context {"account":"0015g00000Xy9zz"}
        sales contact_updated tk:2:003A 2026-04-01T02:00:00.123000Z
          ids salesforce_id:003A
          properties {"entity":"Contact"}
        sales contact_updated tk:2:003B 2026-04-01T02:00:00.123000Z
          ids salesforce_id:003B
          properties {"entity":"Contact"}
        aside item 2 ? wildcard-records: `recordIds` names no record: read them again
        aside item 3 ? gap-event: the event holds no fields: read the records again
    "#]]
    .assert_eq(&out);
}

const MEMBERS: &str = r#"
    preset = "debezium"
    [fields]
    identifiers = { member_no = "loyalty_card", mail = "email" }
    traits = { name = "name", rank = "rank" }
"#;

fn record(value: Option<&str>) -> String {
    let record = Record {
        position: ("db.members", 3, 42),
        key: Some(b"{\"member_no\":\"49\"}"),
        value: value.map(str::as_bytes),
        headers: &[],
        received_at: received(),
    };
    told(&open(MEMBERS).take_record(&record))
}

#[test]
fn a_change_is_read_in_each_of_debeziums_forms() {
    let source = r#""source":{"db":"crm","schema":"public","table":"members","lsn":33,"ts_ms":1775008800123}"#;
    let bare = format!(
        r#"{{"op":"u","before":{{"member_no":"49","name":"旧","rank":"gold"}},"after":{{"member_no":"49","mail":"a@shop.jp","name":"新","rank":null}},{source},"ts_ms":1775008800999}}"#
    );
    let mut out = record(Some(&bare));
    out += &record(Some(&format!(
        r#"{{"schema":{{}},"payload":{{"op":"c","before":null,"after":{{"member_no":"50","name":"花子"}},{source}}}}}"#
    )));
    out += &record(Some(&format!(r#"{{"op":"d","before":{{"member_no":"50","name":"花子"}},"after":null,{source}}}"#)));
    out += &record(Some(
        r#"{"member_no":"51","name":"次郎","__op":"c","__table":"members","__source_ts_ms":1775008800123,"__deleted":"false"}"#,
    ));
    out += &record(None);
    out += &record(Some(r#"{"op":"t","source":{},"after":null}"#));
    expect![[r#"
        crm record_updated crm.public.members:33:u:3448a17b69e9 2026-04-01T02:00:00.123000Z
          ids email:a@shop.jp loyalty_card:49
          traits {"name":"新","rank":null}
          properties {"table":"members"}
        crm record_created crm.public.members:33:c:3eb8a81b390b 2026-04-01T02:00:00.123000Z
          ids loyalty_card:50
          traits {"name":"花子"}
          properties {"table":"members"}
        crm record_deleted crm.public.members:33:d:3eb8a81b390b 2026-04-01T02:00:00.123000Z
          ids loyalty_card:50
          properties {"table":"members"}
        crm record_created db.members/3/42 2026-04-01T02:00:00.123000Z
          ids loyalty_card:51
          traits {"name":"次郎"}
          properties {"table":"members"}
    "#]]
    .assert_eq(&out);
}

const TILL: &str = r#"
    preset = "csv"
    [fields]
    type = "order_completed"
    event_id = ["店舗", "レシート", "営業日"]
    occurred_at = ["営業日", "時刻"]
    amount = "金額"
    currency = "JPY"
    identifiers = { "会員番号" = "loyalty_card", "電話" = "phone" }
    traits = { "氏名" = "name", "生年月日" = "birthday" }
    [csv.columns]
    "会員番号" = { pad = 13 }
    "電話" = { pad = 11 }
    "生年月日" = { date = true }
"#;

fn rows(settings: &str, bytes: &[u8]) -> String {
    let source = open(settings);
    let mut out = String::new();
    for line in Rows::new(bytes, &source.settings().csv).expect("headings") {
        let line = match line {
            Ok(line) => line,
            Err(error) => return format!("{out}error {error}\n"),
        };
        let row = Row { file: "till.csv", sha256: "cafe", line: &line, received_at: received() };
        out += &told(&source.take_row(&row));
    }
    out
}

const CSV: &str = "店舗,レシート,営業日,時刻,金額,会員番号,電話,氏名,生年月日\r\n\
    銀座,1001,20260401,25:30,\"12,800\",490123456789,9012345678,髙橋 花子,S55.2.29\r\n\
    銀座,１００２,令和8年4月1日,10:05,５００,０００００１２３４５６７８,,㈱アクメ,\r\n\
    銀座,1003,2026/4/1,10:06,100,4.90123E+12,,,\r\n\
    銀座,1004,2026/4/1,10:07,100,1,,,昨日\r\n\
    銀座,1005,2026/4/1,10:08,100,1,,,,余分\r\n";

#[test]
fn a_tills_file_is_read_in_whatever_encoding_it_has() {
    let (cp932, _, unmappable) = encoding_rs::SHIFT_JIS.encode(CSV);
    assert!(!unmappable);
    let plain = rows(TILL, CSV.as_bytes());
    assert_eq!(plain, rows(TILL, &cp932), "CP932");
    assert_eq!(plain, rows(TILL, &[b"\xef\xbb\xbf", CSV.as_bytes()].concat()), "a mark of byte order");
    let euc = TILL.replace("[csv.columns]", "[csv]\nencoding = \"euc-jp\"\n[csv.columns]");
    assert_eq!(plain, rows(&euc, &encoding_rs::EUC_JP.encode(CSV).0), "EUC-JP");
    expect![[r#"
        store order_completed 銀座:1001:20260401 2026-04-01T16:30:00Z
          ids loyalty_card:0490123456789 phone:09012345678
          traits {"birthday":"1980-02-29","name":"髙橋 花子"}
          properties {"total":{"amount":"12800","currency":"JPY"},"レシート":"1001","営業日":"20260401","店舗":"銀座","時刻":"25:30","金額":"12,800"}
        store order_completed 銀座:1002:令和8年4月1日 2026-04-01T01:05:00Z
          ids loyalty_card:0000012345678
          traits {"name":"㈱アクメ"}
          properties {"total":{"amount":"500","currency":"JPY"},"レシート":"1002","営業日":"令和8年4月1日","店舗":"銀座","時刻":"10:05","金額":"500"}
        aside whole ? lost-digits: wanted digits that no spreadsheet has rounded in `会員番号`, found `4.90123E+12`
        aside whole ? invalid-date: wanted a date in `生年月日`, found `昨日`
        aside whole ? extra-columns: wanted 9 columns, found 10
    "#]].assert_eq(&plain);
}

#[test]
fn a_file_of_ascii_for_a_long_time_is_still_cp932_behind_it() {
    let mut text = String::from("shop,card\n");
    for _ in 0..5_000 {
        text += "ginza,4901234567894\n";
    }
    text += "銀座,4901234567894\n";
    let settings =
        "preset = \"csv\"\nfields = { identifiers = { card = \"loyalty_card\" }, traits = { shop = \"shop\" } }";
    let (cp932, ..) = encoding_rs::SHIFT_JIS.encode(&text);
    assert!(rows(settings, &cp932).ends_with("traits {\"shop\":\"銀座\"}\n"));
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let mut bytes = b"a,b\n1,\"".to_vec();
    bytes.resize(4 << 20, b'x');
    expect![[r#"
        error wanted the end of a row: a quote may not be closed
    "#]]
    .assert_eq(&rows("preset = \"csv\"", &bytes));
}
