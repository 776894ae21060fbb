//! References between configs: what a name means where it stands, and that following it ends.

use super::{Index, Rejections};
use crate::bundle::v1::{Config, Strategy, Target};

/// How deep `@slug` references may nest.
const MAX_DEPTH: usize = 8;

/// The config that `@slug` means inside `project` (none: organization-wide): the project's own first.
///
/// A reference in an organization's config never means a project's, or a project could undo the organization's policy.
pub(super) fn find_config(slug: &str, project: Option<u32>, index: &Index<'_>) -> Option<u32> {
    let own = project.and_then(|project| index.configs.get(&(Some(project), slug)));
    own.or_else(|| index.configs.get(&(None, slug))).copied()
}

/// The config of an `entry_policy`, which must be one that decides about other requests.
pub(super) fn entry_policy(reference: &str, project: Option<u32>, index: &Index<'_>, configs: &[Config]) -> Result<u32, String> {
    let Some(slug) = reference.strip_prefix('@') else {
        return Err(format!("write `@{reference}`: an entry policy is a routing config"));
    };
    let found = find_config(slug, project, index).ok_or_else(|| format!("there is no routing config `@{slug}`"))?;
    let config = usize::try_from(found).ok().and_then(|at| configs.get(at));
    match config.map(|config| &config.strategy) {
        Some(Strategy::CustomRules { .. } | Strategy::Allowlist { .. }) => Ok(found),
        // A config that was itself rejected is reported where it stands.
        None => Ok(found),
        Some(
            Strategy::Single(_)
            | Strategy::Fallback { .. }
            | Strategy::CostOptimized { .. }
            | Strategy::LatencyOptimized { .. }
            | Strategy::Ensemble { .. }
            | Strategy::Cascade { .. }
            | Strategy::AbTest { .. }
            | Strategy::NotUnderstood,
        ) => Err(format!("`@{slug}` is neither `custom_rules` nor `allowlist`, so it can't be an entry policy")),
    }
}

/// What the walk knows of a config.
#[derive(Clone, Copy)]
enum Mark {
    /// Not seen.
    New,
    /// On the path being walked.
    Open,
    /// Done: this many references follow each other from here.
    Depth(usize),
}

/// Refuses cycles, naming their path, and chains that are too deep.
pub(super) fn refuse_cycles(configs: &[Config], rejections: &mut Rejections) {
    let mut walk = Walk { configs, marks: vec![Mark::New; configs.len()], path: Vec::new(), rejections };
    for start in 0..configs.len() {
        walk.depth_from(start);
    }
}

struct Walk<'a> {
    configs: &'a [Config],
    marks: Vec<Mark>,
    path: Vec<usize>,
    rejections: &'a mut Rejections,
}

impl Walk<'_> {
    /// How many references follow each other from `at`. Each cycle is reported once, where it closes; each chain once, where it gets too long.
    fn depth_from(&mut self, at: usize) -> usize {
        let (Some(config), Some(mark)) = (self.configs.get(at), self.marks.get(at).copied()) else { return 0 };
        match mark {
            Mark::Depth(depth) => return depth,
            Mark::Open => {
                let circle: Vec<String> =
                    self.path.iter().skip_while(|&&step| step != at).chain([&at]).map(|&step| self.slug(step)).collect();
                self.rejections.add(
                    "routing_config",
                    &config.slug,
                    "strategy",
                    format!("references go in a circle: {}", circle.join(" → ")),
                );
                return 0;
            }
            Mark::New => self.mark(at, Mark::Open),
        }
        self.path.push(at);
        let mut depth = 0;
        // The path is bounded, so that a list of ten thousand configs in one chain can't exhaust the stack.
        if self.path.len() <= MAX_DEPTH.saturating_mul(4) {
            for next in references_of(&config.strategy) {
                depth = self.depth_from(usize::try_from(next).unwrap_or(usize::MAX)).saturating_add(1).max(depth);
            }
        } else {
            depth = MAX_DEPTH;
        }
        self.path.pop();
        if depth > MAX_DEPTH {
            let message = format!("references nest deeper than {MAX_DEPTH} from here; shorten the chain");
            self.rejections.add("routing_config", &config.slug, "strategy", message);
            depth = 0;
        }
        self.mark(at, Mark::Depth(depth));
        depth
    }

    fn slug(&self, at: usize) -> String {
        self.configs.get(at).map(|config| format!("@{}", config.slug)).unwrap_or_default()
    }

    fn mark(&mut self, at: usize, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(at) {
            *slot = mark;
        }
    }
}

fn references_of(strategy: &Strategy) -> Vec<u32> {
    let config = |target: &Target| match target {
        Target::Config(index) => Some(*index),
        Target::Model { .. } | Target::Pass | Target::Deny(_) => None,
    };
    match strategy {
        Strategy::Single(target) => config(target).into_iter().collect(),
        Strategy::Fallback { attempts, .. } => attempts.iter().filter_map(|attempt| config(&attempt.target)).collect(),
        Strategy::Cascade { steps } => steps.iter().filter_map(|step| config(&step.target)).collect(),
        Strategy::AbTest { variants, .. } => variants.iter().filter_map(|variant| config(&variant.target)).collect(),
        Strategy::Ensemble { members, judge, .. } => members.iter().map(|member| &member.target).chain(judge).filter_map(config).collect(),
        // These name models, never configs.
        Strategy::CostOptimized { .. } | Strategy::LatencyOptimized { .. } | Strategy::NotUnderstood => Vec::new(),
        Strategy::CustomRules { rules, otherwise } => rules.iter().map(|rule| &rule.then).chain([otherwise]).filter_map(config).collect(),
        Strategy::Allowlist { otherwise, .. } => config(otherwise).into_iter().collect(),
    }
}
