//! Reads of table maps and of what else a reset takes away, for both controllers.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::problem;
use crate::controller::{
    context::{Context, Sequences},
    kept::of_texts,
    reach::Service,
};
use dualwrite_api::operation::{IntegrationKey, MapState};
use dualwrite_microsoft::{
    Api,
    dual_write::{self, TableMapState},
};
use dualwrite_plan::{
    desired::Desired,
    maps::{ConnectionSetDetails, MapVersion, TableMap},
    observed::{Fact, LinkFacts, Problem},
};

/// How many prerequisites are asked for at once; the session limits it further.
const AT_ONCE: usize = 8;

/// How much is read of the prerequisites of one link, in bytes.
const MOST_PREREQUISITES: usize = 4 << 20;

impl Service<'_> {
    /// The table maps of a link.
    pub async fn maps(self, link: &LinkFacts) -> Fact<Vec<TableMap>> {
        match dual_write::table_maps(self.session, self.host, &link.connection_set_id).await {
            Ok(maps) => Fact::Known(maps.into_iter().map(table_map).collect()),
            Err(error) => Fact::Unknown(problem::of_call(&error)),
        }
    }

    /// The connection set of a link.
    pub async fn connection_set(self, link: &LinkFacts) -> Fact<ConnectionSetDetails> {
        let Some(name) = &link.connection_set_name else {
            return Fact::Unknown(Problem::transient(format!(
                "The dual-write service gives the connection set {} no name, so its companies and keys cannot be read.",
                link.connection_set_id
            )));
        };
        match dual_write::connection_set(self.session, self.host, name).await {
            Ok(set) => Fact::Known(ConnectionSetDetails {
                dataverse_name: set.dataverse().and_then(|side| side.name.clone()),
                legal_entities: set.legal_entities,
                integration_keys: integration_keys(set.integration_keys),
            }),
            Err(error) => Fact::Unknown(problem::of_call(&error)),
        }
    }

    /// The solutions that bring maps, each once: none is applied twice.
    pub async fn solutions(self, link: &LinkFacts) -> Fact<Vec<String>> {
        match dual_write::solutions(self.session, self.host, &link.connection_set_id).await {
            Ok(mut solutions) => {
                let mut seen = HashSet::new();
                solutions.retain(|name| seen.insert(name.to_ascii_lowercase()));
                Fact::Known(solutions)
            }
            Err(error) => Fact::Unknown(problem::of_call(&error)),
        }
    }

    /// What must run before each map that is to be started again. The order of a version does not change, so it is asked
    /// for once.
    pub async fn prerequisites(
        self,
        context: &Context,
        desired: &Desired,
        link: &LinkFacts,
        maps: &[TableMap],
    ) -> Fact<BTreeMap<String, Vec<String>>> {
        let wanted: Vec<String> = maps
            .iter()
            .filter(|map| matches!(map.state, MapState::Running | MapState::Paused))
            .filter_map(|map| map.template.clone())
            .collect();
        let kept = context.sequences(&desired.uid);
        let known = wanted.into_iter().map(|template| {
            let kept = kept.as_ref().and_then(|kept| kept.get(&template).cloned());
            async move {
                match kept {
                    Some(sequence) => Ok((template, sequence)),
                    None => self.sequence(link, template).await,
                }
            }
        });
        let asked = stream::iter(known)
            .buffer_unordered(AT_ONCE)
            .try_fold((HashMap::new(), 0), together)
            .await;
        match asked {
            Ok((sequences, _)) => {
                let named = by_name(maps, &sequences);
                context.keep_sequences(&desired.uid, &desired.namespace, sequences);
                Fact::Known(named)
            }
            Err(problem) => Fact::Unknown(problem),
        }
    }

    async fn sequence(
        self,
        link: &LinkFacts,
        template: String,
    ) -> Result<(String, Vec<String>), Problem> {
        let set = &link.connection_set_id;
        match dual_write::prerequisites(self.session, self.host, set, &template).await {
            Ok(sequences) => Ok((template, sequences.into_iter().flatten().collect())),
            Err(error) => Err(problem::of_call(&error)),
        }
    }
}

/// All sequences of a link, and how many bytes there are in them.
async fn together(
    (mut all, mut bytes): (Sequences, usize),
    (template, sequence): (String, Vec<String>),
) -> Result<(Sequences, usize), Problem> {
    bytes += of_texts(&sequence);
    if bytes > MOST_PREREQUISITES {
        return Err(problem::too_many_prerequisites(MOST_PREREQUISITES));
    }
    all.insert(template, sequence);
    Ok((all, bytes))
}

/// From templates to the names of maps; what names no map of this link says nothing.
fn by_name(
    maps: &[TableMap],
    sequences: &HashMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    for map in maps {
        let versions = map.versions.iter().map(|version| version.template.as_str());
        for template in versions.chain(map.template.as_deref()) {
            names.insert(template, &map.name);
        }
    }
    let of_map = |map: &TableMap| {
        let sequence = sequences.get(map.template.as_ref()?)?;
        let before = sequence
            .iter()
            .filter_map(|template| names.get(template.as_str()));
        let mut before: Vec<String> = before
            .filter(|name| **name != map.name)
            .map(|name| (*name).to_owned())
            .collect();
        before.sort();
        before.dedup();
        (!before.is_empty()).then(|| (map.name.clone(), before))
    };
    maps.iter().filter_map(of_map).collect()
}

fn integration_keys(keys: Vec<(String, Vec<String>)>) -> Vec<IntegrationKey> {
    let mut keys: Vec<IntegrationKey> = keys
        .into_iter()
        .map(|(entity, fields)| IntegrationKey { entity, fields })
        .collect();
    keys.sort_by(|one, other| one.entity.cmp(&other.entity));
    keys
}

fn table_map(map: dual_write::TableMap) -> TableMap {
    TableMap {
        name: map.name,
        table: map.right,
        version: map
            .active
            .as_ref()
            .and_then(|active| active.version.clone()),
        author: map.active.and_then(|active| active.author),
        template: map.template_id,
        project: map.project_id,
        state: state(&map.state),
        versions: map
            .versions
            .into_iter()
            .filter_map(|version| {
                Some(MapVersion {
                    template: version.template_id,
                    author: version.author,
                    version: version.version?,
                })
            })
            .collect(),
        error: map
            .last_error
            .map(|told| problem::explained(Api::DualWrite, &told)),
    }
}

/// Catching up and the initial write are ways of running: a plan does not fall with them.
const fn state(state: &TableMapState) -> MapState {
    match state {
        TableMapState::None => MapState::None,
        TableMapState::Stopped => MapState::Stopped,
        TableMapState::InitialSync | TableMapState::CatchUp | TableMapState::Running => {
            MapState::Running
        }
        TableMapState::Paused => MapState::Paused,
        TableMapState::NotRunning => MapState::NotRunning,
        TableMapState::Other(_) => MapState::Other,
    }
}
