//! How long targets are waited for: what the innermost config says, of each kind by itself.

use crate::decision::{Decision, Route};
use crate::engine::Engine;
use crate::source::{OnDisconnect, Patience};
use crate::testing::{NoHealth, Used, request, subject};

#[test]
fn of_each_kind_of_waiting_the_innermost_config_that_says_something_decides() {
    let bundle = include_str!("../../../testdata/bundle/v1-waiting.json");
    let engine = Engine::load(serde_json::from_str(bundle).unwrap()).unwrap();
    let used = Used("0".parse().unwrap());
    let decision = engine.decide(&subject(&engine, "ci"), &request("@hedged"), &used, &NoHealth, Default::default());
    let Decision::Permit(permit) = decision else { panic!("a permit") };
    let Route::Fallback { attempts, .. } = permit.route() else { panic!("a fallback") };
    let waits: Vec<Patience> = attempts
        .iter()
        .map(|attempt| match &attempt.route {
            Route::Target(target) => target.patience,
            _ => panic!("a target"),
        })
        .collect();
    let outer = Patience {
        first_byte_timeout_ms: Some(9_000),
        idle_timeout_ms: Some(8_000),
        hedge_after_ms: Some(1_500),
        on_disconnect: Some(OnDisconnect::Drain),
    };
    assert_eq!(waits, [Patience { hedge_after_ms: Some(100), ..outer }, outer]);
}
