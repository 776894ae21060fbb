//! Every query and mutation by everyone who should not: anonymous, another tenant, too little role.

use serde_json::json;
use tests::api::{ApiOptions, TestApi};
use tests::database::Kind;
use tests::graphql::GraphQl;

use super::cases::{Case, MUTATIONS, QUERIES, SUBSCRIPTIONS};
use super::world::{World, found_another, with_role};

fn operations() -> impl Iterator<Item = (&'static str, &'static Case)> {
    QUERIES.iter().map(|case| ("query", case)).chain(MUTATIONS.iter().map(|case| ("mutation", case)))
}

/// without a key, with a wrong one and with a proxy key, nothing is answered.
#[tokio::test]
async fn nobody_without_a_good_key_is_answered() {
    // There are more fields than bad keys that one address may present in a minute.
    let environment = vec![("MODELUX_FAILED_KEYS_PER_MINUTE".to_owned(), "0".to_owned())];
    let api = TestApi::start_with(ApiOptions { environment, ..ApiOptions::default() }).await;
    let owner = api.owner();
    let world = World::fresh(&owner).await;
    let strangers = [owner.anonymous(), owner.with_key("mlx_mk_unknown"), owner.with_key(&world.secrets[1])];
    let subscriptions = SUBSCRIPTIONS.iter().map(|case| ("subscription", case));
    for (kind, case) in operations().chain(subscriptions) {
        for stranger in &strangers {
            let refusal = stranger.refusal(&case.document(kind, &world, ""), json!({})).await;
            assert_eq!(refusal.code, "UNAUTHENTICATED", "{}: {refusal:?}", case.name);
        }
    }
    let introspection = owner.anonymous().refusal("{ __schema { queryType { name } } }", json!({})).await;
    assert_eq!(introspection.code, "UNAUTHENTICATED");
}

/// the owner of another organization is told that nothing is there, in the same words as of what never was, and changes nothing.
#[tokio::test]
async fn another_tenants_things_are_not_found_and_not_touched() {
    let api = TestApi::start_with(ApiOptions { database: Kind::Postgres, ..ApiOptions::default() }).await;
    let owner = api.owner();
    let foreign = found_another(&owner).await;
    World::fresh(&foreign).await;
    let world = World::fresh(&owner).await;
    let state = "{ organization { revision } auditEvents(first: 1) { nodes { hash } } }";
    let before = owner.query(state).await;
    for (kind, case) in operations() {
        let document = case.document(kind, &world, "");
        let answer = foreign.try_run(&document, &json!({})).await;
        if case.names_existing {
            let refusal = answer.err().unwrap_or_else(|| panic!("{} reached another tenant", case.name));
            assert_eq!(refusal.code, "NOT_FOUND", "{}: {refusal:?}", case.name);
            let absent = world.ids().iter().fold(document.clone(), |text, id| text.replace(id, &absent(id)));
            assert_eq!(foreign.refusal(&absent, json!({})).await, refusal, "{}: foreign and absent differ", case.name);
        } else if let Ok(data) = answer
            && kind == "query"
        {
            let shown = data.to_string();
            let leaked: Vec<_> = world.ids().into_iter().filter(|id| shown.contains(id)).collect();
            // A name that the question has may be in the answer.
            let named = !document.contains(&world.marker) && shown.contains(&world.marker);
            assert!(leaked.is_empty() && !named, "{} shows another tenant's things: {shown}", case.name);
        }
        assert_eq!(owner.query(state).await, before, "{} changed another tenant", case.name);
    }
}

/// An id of the same kind that nothing has.
fn absent(id: &str) -> String {
    let (kind, tail) = id.split_once('_').expect("a prefixed id");
    format!("{kind}_{}", "0".repeat(tail.len()))
}

/// R-39, contract 5: what each role may do, tried out. The committed table is what to review; a line that changes changes who may do what.
#[tokio::test]
async fn each_role_may_do_what_the_committed_table_says() {
    let api = TestApi::start_with(ApiOptions { database: Kind::Postgres, ..ApiOptions::default() }).await;
    let owner = api.owner();
    let mut table = String::from("field                    owner admin member viewer\n");
    let mut tried = Tried { actors: roles(&owner).await, world: World::fresh(&owner).await, owner };
    for (kind, case) in operations() {
        let mut marks = Vec::new();
        for role in 0..4 {
            marks.push(if tried.may(role, kind, case).await { "x" } else { "-" });
        }
        let [owner, admin, member, viewer] = marks[..] else { unreachable!("four roles") };
        table.push_str(&format!("{:<24} {owner:<5} {admin:<5} {member:<6} {viewer}\n", case.name));
    }
    let committed = include_str!("roles.txt");
    if table != committed {
        let place = std::env::temp_dir().join("modelux-roles.txt");
        std::fs::write(&place, &table).expect("a file");
        // Read the difference as a change of who may do what. If it is meant, copy the file over `roles.txt`.
        panic!("the roles are not as committed; as they are now: {}\n{}", place.display(), differences(committed, &table));
    }
}

/// An organization with one of each resource, and a key of each role.
struct Tried {
    owner: GraphQl,
    actors: Vec<GraphQl>,
    world: World,
}

async fn roles(owner: &GraphQl) -> Vec<GraphQl> {
    let mut actors = Vec::new();
    for role in ["owner", "admin", "member", "viewer"] {
        actors.push(with_role(owner, role).await);
    }
    actors
}

impl Tried {
    /// Whether the role may do this; anything but a yes and `FORBIDDEN` is a failure.
    async fn may(&mut self, role: usize, kind: &str, case: &Case) -> bool {
        // Ending an organization is tried in one that may end.
        if case.name == "deleteOrganization" {
            let owner = found_another(&self.owner).await;
            let (world, actors) = (World::fresh(&owner).await, roles(&owner).await);
            return Self::answered(&actors[role], kind, case, &world).await;
        }
        let answered = Self::answered(&self.actors[role], kind, case, &self.world).await;
        if answered && kind == "mutation" {
            self.world = World::fresh(&self.owner).await;
        }
        answered
    }

    async fn answered(actor: &GraphQl, kind: &str, case: &Case, world: &World) -> bool {
        match actor.try_run(&case.document(kind, world, ""), &json!({})).await {
            Ok(_) => true,
            Err(refusal) if refusal.code == "FORBIDDEN" => false,
            // There is no such request: who may read the log is told so.
            Err(refusal) if refusal.code == "NOT_FOUND" && case.name == "requestLog" => true,
            Err(refusal) => panic!("{}: {refusal:?}", case.name),
        }
    }
}

fn differences(committed: &str, found: &str) -> String {
    let missing = committed.lines().filter(|line| !found.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let added = found.lines().filter(|line| !committed.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    missing.chain(added).collect::<Vec<_>>().join("\n")
}
