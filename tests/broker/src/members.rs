//! The requests of group members, put to the group coordinator.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupRequest, SyncGroupResponse, delete_groups_response::DeletableGroupResult,
};
use kafka_protocol::protocol::StrBytes;

use crate::groups::{Group, Join, Joined, Phase, Reply, Who};
use crate::log::Answer;
use crate::node::{Node, lock};
use crate::wire::{code, text};

/// Kafka's `group.max.session.timeout.ms`.
const MAX_SESSION_MS: i32 = 1_800_000;

/// `JoinGroup`: waits until the group has a new generation.
pub(crate) async fn join(
    node: &Arc<Node>,
    version: i16,
    client: &str,
    host: &str,
    request: JoinGroupRequest,
    refused: Option<ResponseError>,
) -> JoinGroupResponse {
    let member = request.member_id.clone();
    let session_ms = i32::try_from(node.settings.min_session_timeout.as_millis()).unwrap_or(i32::MAX);
    let reply = match refused {
        Some(error) => Reply::Now(Err(error)),
        None if request.group_id.is_empty() => Reply::Now(Err(ResponseError::InvalidGroupId)),
        None if !(session_ms..=MAX_SESSION_MS).contains(&request.session_timeout_ms) => {
            Reply::Now(Err(ResponseError::InvalidSessionTimeout))
        }
        None => {
            let name = request.group_id.clone();
            lock(&node.groups).join(node, &name, read_join(version, client, host, request))
        }
    };
    match reply.wait().await {
        Ok(joined) => joined_response(version, joined),
        Err(error) => refuse_join(version, error, member),
    }
}

fn read_join(version: i16, client: &str, host: &str, request: JoinGroupRequest) -> Join {
    let protocols = request.protocols.into_iter();
    Join {
        version,
        member: request.member_id.to_string(),
        instance: request.group_instance_id.map(|instance| instance.to_string()),
        client: client.to_owned(),
        host: host.to_owned(),
        kind: request.protocol_type.to_string(),
        session_ms: request.session_timeout_ms,
        rebalance_ms: request.rebalance_timeout_ms,
        protocols: protocols.map(|protocol| (protocol.name.to_string(), protocol.metadata.to_vec())).collect(),
    }
}

/// Before version 7 the protocol's name could not be null.
fn refuse_join(version: i16, error: ResponseError, member: StrBytes) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(-1)
        .with_protocol_name((version < 7).then(StrBytes::new))
        .with_member_id(member)
}

fn joined_response(version: i16, joined: Joined) -> JoinGroupResponse {
    if joined.is_promise() {
        return refuse_join(version, ResponseError::MemberIdRequired, text(joined.member));
    }
    let members = joined.members.into_iter().map(|(id, instance, subscription)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance.map(text))
            .with_metadata(subscription)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(joined.kind)))
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_skip_assignment(joined.skip)
        .with_member_id(text(joined.member))
        .with_members(members.collect())
}

/// `SyncGroup`: waits until the leader has assigned.
pub(crate) async fn sync(
    node: &Arc<Node>,
    request: SyncGroupRequest,
    refused: Option<ResponseError>,
) -> SyncGroupResponse {
    let reply = match refused {
        Some(error) => Reply::Now(Err(error)),
        None => ask_sync(node, &request).unwrap_or_else(|error| Reply::Now(Err(error))),
    };
    let answer = SyncGroupResponse::default()
        .with_protocol_type(request.protocol_type)
        .with_protocol_name(request.protocol_name);
    match reply.wait().await {
        Ok(assignment) => answer.with_assignment(assignment),
        Err(error) => answer.with_error_code(error.code()),
    }
}

fn ask_sync(node: &Node, request: &SyncGroupRequest) -> Answer<Reply<bytes::Bytes>> {
    let who = Who {
        member: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let protocol = request.protocol_type.as_deref().zip(request.protocol_name.as_deref());
    let assignments = request.assignments.iter();
    let assignments = assignments.map(|part| (part.member_id.to_string(), part.assignment.to_vec())).collect();
    lock(&node.groups).known(&request.group_id)?.sync(node, who, protocol, assignments)
}

/// `Heartbeat`.
pub(crate) fn heartbeat(node: &Node, request: &HeartbeatRequest, refused: Option<ResponseError>) -> HeartbeatResponse {
    let who = Who {
        member: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let beat = refused.map_or(Ok(()), Err);
    let beat = beat.and_then(|()| lock(&node.groups).known(&request.group_id)?.heartbeat(who));
    HeartbeatResponse::default().with_error_code(code(beat))
}

/// `LeaveGroup`: one member before version 3, a list after.
pub(crate) fn leave(
    node: &Node,
    version: i16,
    request: LeaveGroupRequest,
    refused: Option<ResponseError>,
) -> LeaveGroupResponse {
    if let Some(error) = refused {
        return LeaveGroupResponse::default().with_error_code(error.code());
    }
    let mut groups = lock(&node.groups);
    let mut go = |member: &str, instance: Option<&str>| groups.known(&request.group_id)?.leave(node, member, instance);
    if version < 3 {
        return LeaveGroupResponse::default().with_error_code(code(go(&request.member_id, None)));
    }
    let members = request.members.into_iter().map(|leaver| {
        let left = go(&leaver.member_id, leaver.group_instance_id.as_deref());
        MemberResponse::default()
            .with_member_id(leaver.member_id)
            .with_group_instance_id(leaver.group_instance_id)
            .with_error_code(code(left))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

/// `DescribeGroups`.
pub(crate) fn describe(
    node: &Node,
    request: DescribeGroupsRequest,
    refused: Option<ResponseError>,
) -> DescribeGroupsResponse {
    let groups = lock(&node.groups);
    let described = request.groups.into_iter().map(|name| {
        let answer = DescribedGroup::default().with_group_id(name.clone()).with_authorized_operations(i32::MIN);
        match (refused, groups.by_name.get(&**name)) {
            (Some(error), _) => answer.with_error_code(error.code()),
            (None, None) => answer.with_group_state(StrBytes::from_static_str("Dead")),
            (None, Some(group)) => describe_one(group, answer),
        }
    });
    DescribeGroupsResponse::default().with_groups(described.collect())
}

fn describe_one(group: &Group, answer: DescribedGroup) -> DescribedGroup {
    let protocol = group.protocol.clone().unwrap_or_default();
    let members = group.members.values().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.fact.id.clone()))
            .with_group_instance_id(member.fact.instance.clone().map(text))
            .with_client_id(text(member.fact.client.clone()))
            .with_client_host(text(member.fact.host.clone()))
            .with_member_metadata(member.subscription(&protocol))
            .with_member_assignment(member.fact.assignment.clone().into())
    });
    answer
        .with_group_state(StrBytes::from_static_str(group.phase.name()))
        .with_protocol_type(text(group.kind.clone()))
        .with_members(members.collect())
        .with_protocol_data(text(protocol))
}

/// `ListGroups`.
pub(crate) fn list(node: &Node, request: &ListGroupsRequest, refused: Option<ResponseError>) -> ListGroupsResponse {
    if let Some(error) = refused {
        return ListGroupsResponse::default().with_error_code(error.code());
    }
    let groups = lock(&node.groups);
    let asked = |group: &&Group| {
        let state = |wanted: &StrBytes| wanted.eq_ignore_ascii_case(group.phase.name());
        let classic = |wanted: &StrBytes| wanted.eq_ignore_ascii_case("classic");
        (request.states_filter.is_empty() || request.states_filter.iter().any(state))
            && (request.types_filter.is_empty() || request.types_filter.iter().any(classic))
    };
    let listed = groups.by_name.iter().filter(|(_, group)| asked(group)).map(|(name, group)| {
        ListedGroup::default()
            .with_group_id(text(name.clone()).into())
            .with_protocol_type(text(group.kind.clone()))
            .with_group_state(StrBytes::from_static_str(group.phase.name()))
            .with_group_type(StrBytes::from_static_str("classic"))
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

/// `DeleteGroups`: only of those that are empty.
pub(crate) fn delete(
    node: &Node,
    request: DeleteGroupsRequest,
    refused: Option<ResponseError>,
) -> DeleteGroupsResponse {
    let mut groups = lock(&node.groups);
    let results = request.groups_names.into_iter().map(|name| {
        let gone = match groups.by_name.get_mut(&**name) {
            _ if refused.is_some() => refused.map_or(Ok(()), Err),
            None => Err(ResponseError::GroupIdNotFound),
            Some(group) if group.phase != Phase::Empty => Err(ResponseError::NonEmptyGroup),
            Some(group) => {
                group.offsets.drop_where(node, &name, |_| true);
                group.forget(node);
                groups.by_name.remove(&**name);
                Ok(())
            }
        };
        DeletableGroupResult::default().with_group_id(name).with_error_code(code(gone))
    });
    let results = results.collect();
    DeleteGroupsResponse::default().with_results(results)
}
