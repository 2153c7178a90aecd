//! A reset as a user meets it, with the real process: the plan, its approval, its end, and each way in which it can go
//! wrong. What becomes of it when the process dies is in `cluster_reset_crashes`.
//!
//! The flows mostly wait, so more of them run at once than there are cores. `DUALWRITE_CELLS=part-of-a-name` runs only some.

mod approval;
mod backup;
mod failures;
mod maps;
mod plan;

use futures::FutureExt as _;

/// Two cores carry so many worlds at once.
const AT_ONCE: usize = 10;

/// Each flow by its name; one that is not listed is dead code, and so a warning.
macro_rules! flows {
    ($($module:ident: $($name:ident),+;)+) => {
        vec![$($((stringify!($name).to_owned(), $module::$name().boxed()),)+)+]
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_from_its_plan_to_its_end() {
    // Those that wait longest come first.
    let flows = flows! {
        failures:
            a_reset_that_stays_is_said_after_its_time,
            a_reset_of_which_nothing_is_known_is_for_a_person,
            a_refused_reset_is_taken_back,
            a_solution_that_fails_is_named_and_the_rest_is_restored,
            a_linked_dataverse_that_is_gone_ends_the_act_before_the_reset,
            a_list_of_maps_that_lags_leads_nobody_astray,
            every_form_of_acceptance_will_do,
            a_reset_that_answers_slowly_is_waited_for;
        maps:
            a_map_that_does_not_start_is_named_until_it_runs,
            start_maps_never_leaves_them_stopped_and_says_in_which_order_they_start,
            a_map_that_does_not_stop_ends_the_act_before_the_reset,
            force_resets_although_a_map_does_not_stop,
            a_map_that_runs_again_ends_the_act_before_the_reset,
            the_maps_of_a_mixed_link_are_stopped,
            a_mixed_link_is_stopped_before_its_reset_is_planned;
        approval:
            an_approved_plan_is_carried_out,
            an_editor_cannot_approve,
            automatic_on_a_sandbox_needs_nobody,
            automatic_on_production_waits_for_a_person,
            an_approved_plan_waits_while_suspended,
            a_plan_that_is_deleted_is_made_again;
        backup:
            a_backup_that_was_deleted_is_written_again_before_the_reset,
            a_backup_that_was_altered_ends_the_act_before_the_reset,
            a_backup_cannot_be_changed_and_outlives_its_connection,
            without_a_backup_nothing_is_stopped,
            the_last_five_backups_are_kept;
        plan:
            a_plan_says_what_is_done_and_what_is_lost,
            a_rejected_plan_is_not_made_again_until_somebody_asks,
            a_rejected_plan_is_made_again_for_a_new_generation,
            a_plan_falls_when_what_it_relies_on_moves,
            an_approved_plan_falls_when_its_facts_have_just_moved,
            a_plan_falls_when_the_link_is_where_it_should_be,
            a_plan_falls_when_nobody_asks_for_it_any_more,
            observing_shows_the_plan_and_makes_none,
            what_cannot_be_read_spoils_no_plan_and_lets_none_begin,
            the_status_counts_the_maps;
    };
    crate::support::crash::all_of(AT_ONCE, flows).await;
}
