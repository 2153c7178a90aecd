//! Answers that are bent: other casing, states that nobody knows.

use serde_json::Value;

use crate::reply::{Payload, Reply};

/// Keys whose values are states.
const STATES: [&str; 4] = ["state", "status", "appInstallState", "adminMode"];
const NEXT: [&str; 2] = ["@odata.nextLink", "@odata.nextlink"];

/// State values in another casing, and the next-page key in the other casing.
pub(crate) fn wrong_casing(reply: &mut Reply) {
    let Payload::Json(body) = &mut reply.body else {
        return;
    };
    if let Value::Object(fields) = body {
        for (from, to) in [(NEXT[0], NEXT[1]), (NEXT[1], NEXT[0])] {
            if let Some(next) = fields.remove(from) {
                fields.insert(to.to_owned(), next);
                break;
            }
        }
    }
    change_states(body, &|state| {
        let upper = state.to_uppercase();
        if upper == state {
            state.to_lowercase()
        } else {
            upper
        }
    });
}

/// Every state is one that no documentation names.
pub(crate) fn unknown_state(reply: &mut Reply, state: &str) {
    if let Payload::Json(body) = &mut reply.body {
        change_states(body, &|_| state.to_owned());
    }
}

fn change_states(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::Array(rows) => {
            for row in rows {
                change_states(row, change);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value {
                    Value::String(state) if STATES.contains(&key.as_str()) => {
                        *state = change(state);
                    }
                    _ => change_states(value, change),
                }
            }
        }
        _ => {}
    }
}
