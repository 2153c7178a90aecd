//! Whether what a plan relies on still holds, right before its first step: one fact at a time.

use crate::support::*;
use dualwrite_plan::{
    maps::{ConnectionSetDetails, LinkDetails, TableMap},
    observed::{Fact, LinkView},
    operation::changed_facts::{Now, since_planned},
};

struct Seen {
    link: LinkView,
    maps: Fact<Vec<TableMap>>,
    details: LinkDetails,
}

fn as_planned() -> Seen {
    Seen {
        link: link_to(E),
        maps: Fact::Known(some_maps()),
        details: some_details(),
    }
}

fn changed(change: impl FnOnce(&mut Seen)) -> Fact<Vec<String>> {
    let mut seen = as_planned();
    change(&mut seen);
    let Seen {
        link,
        maps,
        details,
    } = &seen;
    since_planned(
        &planned_reset().spec,
        &Now {
            link,
            maps,
            details,
        },
    )
}

fn set(seen: &mut Seen) -> &mut ConnectionSetDetails {
    match &mut seen.details.connection_set {
        Fact::Known(set) => set,
        Fact::Unknown(_) => panic!("the connection set is unknown"),
    }
}

fn solutions(seen: &mut Seen) -> &mut Vec<String> {
    match &mut seen.details.solutions {
        Fact::Known(solutions) => solutions,
        Fact::Unknown(_) => panic!("the solutions are unknown"),
    }
}

#[test]
fn what_is_as_planned_has_not_changed() {
    assert_eq!(changed(|_| {}), Fact::Known(vec![]));
}

#[test]
fn each_fact_that_a_plan_relies_on_is_looked_at() {
    type Change = fn(&mut Seen);
    let changes: [(Change, &str); 7] = [
        (|seen| seen.link = link_to(S), "was linked to"),
        (
            |seen| {
                let LinkView::To(link) = &mut seen.link else {
                    panic!()
                };
                link.connection_set_id = "cs-0002".into();
            },
            "the connection set is another one",
        ),
        (
            |seen| seen.maps = Fact::Known(some_maps()[1..].to_vec()),
            "currencies",
        ),
        (
            |seen| drop(set(seen).legal_entities.pop()),
            "the companies of the link",
        ),
        (
            |seen| set(seen).integration_keys.clear(),
            "the integration keys",
        ),
        (|seen| drop(solutions(seen).pop()), "the solutions"),
        (
            |seen| solutions(seen).push("Another".into()),
            "the solutions",
        ),
    ];
    for (change, part) in changes {
        match changed(change) {
            Fact::Known(texts) => {
                assert_eq!(texts.len(), 1, "{part}: {texts:?}");
                assert!(texts[0].contains(part), "{part}: {texts:?}");
            }
            unknown @ Fact::Unknown(_) => panic!("{part}: {unknown:?}"),
        }
    }
}

#[test]
fn the_order_of_a_list_is_no_fact() {
    let reordered = changed(|seen| {
        set(seen).legal_entities.reverse();
        if let Fact::Known(maps) = &mut seen.maps {
            maps.reverse();
        }
    });
    assert_eq!(reordered, Fact::Known(vec![]));
}

#[test]
fn what_cannot_be_read_is_not_as_planned() {
    type Change = fn(&mut Seen);
    let changes: [Change; 4] = [
        |seen| seen.link = LinkView::Unknown(down()),
        |seen| seen.maps = Fact::Unknown(down()),
        |seen| seen.details.connection_set = Fact::Unknown(down()),
        |seen| seen.details.solutions = Fact::Unknown(down()),
    ];
    for change in changes {
        assert_eq!(changed(change), Fact::Unknown(down()));
    }
}
