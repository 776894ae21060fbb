//! What configs say of waiting, noted at the targets that they lead to: the innermost config decides.

use crate::decision::Route;
use crate::source::Patience;

/// Notes what a config says at every target of its route.
pub(super) fn note_patience(route: &mut Route, patience: Patience) {
    match route {
        Route::Target(target) => target.patience = target.patience.or(patience),
        Route::Fallback { attempts, .. } => attempts.iter_mut().for_each(|attempt| note_patience(&mut attempt.route, patience)),
        Route::Ensemble(ensemble) => {
            ensemble.members.iter_mut().for_each(|member| note_patience(&mut member.route, patience));
            if let Some(judge) = &mut ensemble.judge {
                note_patience(judge, patience);
            }
        }
        Route::Cascade(cascade) => cascade.steps.iter_mut().for_each(|step| note_patience(&mut step.route, patience)),
    }
}

impl Route {
    /// Whether any target's answer is heard to its end for a caller who has left.
    #[must_use]
    pub fn drains(&self) -> bool {
        super::resolve::any_target(self, &mut |target| target.patience.drains())
    }
}
