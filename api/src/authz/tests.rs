//! The roles of the contract, and that keys and grants never reach further.

use entity::membership::Role;

use super::*;

fn key_scopes(texts: &[&str]) -> Vec<KeyScope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn the_roles_of_the_contract_hold() {
    let matrix = Matrix::load().await.unwrap();
    let may = |role, action, resource| matrix.of(role).contains(action, resource);
    assert!(may(Role::Viewer, Action::Read, Resource::Budget));
    assert!(!may(Role::Viewer, Action::Read, Resource::Payload));
    assert!(!may(Role::Viewer, Action::Read, Resource::AuditEvent));
    assert!(may(Role::Member, Action::Update, Resource::RoutingConfig));
    assert!(!may(Role::Member, Action::Create, Resource::ProxyKey));
    assert!(may(Role::Member, Action::Create, Resource::OwnProxyKey));
    assert!(!may(Role::Member, Action::Update, Resource::Budget));
    assert!(may(Role::Admin, Action::Delete, Resource::Provider));
    assert!(!may(Role::Admin, Action::Create, Resource::Owner));
    assert!(!may(Role::Admin, Action::Delete, Resource::Organization));
    assert!(may(Role::Owner, Action::Delete, Resource::Organization));
}

#[tokio::test]
async fn each_role_may_do_all_that_the_one_below_may() {
    let matrix = Matrix::load().await.unwrap();
    for pair in [Role::Viewer, Role::Member, Role::Admin, Role::Owner].windows(2) {
        assert!(matrix.of(pair[0]).is_within(matrix.of(pair[1])));
    }
}

#[tokio::test]
async fn a_key_is_capped_by_role_scopes_and_its_creator() {
    let matrix = Matrix::load().await.unwrap();
    let owner = Permissions::of_grants(&matrix, &Grants { organization: Some(Role::Owner), ..Grants::default() });
    let member = Permissions::of_grants(&matrix, &Grants { organization: Some(Role::Member), ..Grants::default() });
    let scoped = owner.capped(matrix.of(Role::Admin), Some(&key_scopes(&["budget:*", "project:read"])));
    assert!(scoped.allow(Action::Delete, Resource::Budget));
    assert!(scoped.allow(Action::Read, Resource::Project));
    assert!(!scoped.allow(Action::Create, Resource::Project));
    let capped = member.capped(matrix.of(Role::Owner), None);
    assert!(!capped.allow(Action::Create, Resource::Budget));
    assert!(capped.allow(Action::Update, Resource::RoutingConfig));
}

#[tokio::test]
async fn own_projects_are_those_with_a_grant() {
    let matrix = Matrix::load().await.unwrap();
    let grants = Grants { organization: Some(Role::Member), projects: [("prj_1".to_owned(), Role::Member)].into() };
    let member = Permissions::of_grants(&matrix, &grants);
    assert!(member.allow_in(Action::Create, Resource::ProxyKey, "prj_1"));
    assert!(!member.allow_in(Action::Create, Resource::ProxyKey, "prj_2"));
    let owner = Permissions::of_grants(&matrix, &Grants { organization: Some(Role::Owner), ..Grants::default() });
    let member_key = owner.capped(matrix.of(Role::Member), None);
    assert!(member_key.allow_in(Action::Create, Resource::ProxyKey, "prj_2"));
    assert!(!member_key.allow(Action::Create, Resource::Budget));
}

#[tokio::test]
async fn a_grant_for_a_project_reaches_nothing_else() {
    let matrix = Matrix::load().await.unwrap();
    let grants = Grants { organization: None, projects: [("prj_1".to_owned(), Role::Owner)].into() };
    let permissions = Permissions::of_grants(&matrix, &grants);
    assert!(permissions.allow_in(Action::Update, Resource::Project, "prj_1"));
    assert!(!permissions.allow_in(Action::Read, Resource::Project, "prj_2"));
    assert!(!permissions.in_project("prj_1").contains(Action::Create, Resource::ManagementKey));
    assert_eq!(permissions.limited_to(), Some(vec!["prj_1".to_owned()]));
}

#[test]
fn a_scope_that_names_nothing_is_refused() {
    for text in ["budget", "budget:fly", "moon:read", ""] {
        assert!(text.parse::<KeyScope>().is_err(), "{text}");
    }
}
