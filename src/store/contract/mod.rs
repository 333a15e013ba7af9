//! What every store must do, whichever it is: each case runs on each backend.

pub(in crate::store) mod access;
mod bench;
pub(in crate::store) mod credential;
pub(in crate::store) mod filter;
pub(in crate::store) mod history;
pub(in crate::store) mod inbox;
pub(in crate::store) mod job;
pub(in crate::store) mod keep;
pub(in crate::store) mod keys;
pub(in crate::store) mod mark;
mod model;
pub(in crate::store) mod order;
pub(in crate::store) mod records;
pub(in crate::store) mod replay;
pub(in crate::store) mod roster;
pub(in crate::store) mod scan;
pub(in crate::store) mod task;
pub(in crate::store) mod ticket;
pub(in crate::store) mod version;

pub(in crate::store) use bench::{Bench, delivery, done};

/// Declares the cases once and makes one test of each for a backend.
macro_rules! contract {
    ($open:path) => {
        $crate::store::contract::cases!($open;
            inbox: [
                what_is_accepted_is_there_after_a_restart,
                a_second_copy_is_a_duplicate_and_is_counted,
                a_copy_before_indexing_is_a_duplicate_too,
                two_hooks_share_a_guid_and_are_two_deliveries,
                a_copy_after_its_window_is_new,
                an_equal_body_under_a_new_id_is_kept_and_marked,
                a_copy_of_a_dead_delivery_wakes_it,
                many_at_once_are_all_kept_once,
                an_ended_row_is_never_claimed,
                a_large_body_comes_back_byte_for_byte,
                replay_queues_again_and_keeps_the_history,
                discarding_needs_a_dead_letter,
                what_waits_for_its_account_is_woken,
                retention_deletes_what_is_finished_and_keeps_the_dead,
                lists_filter_and_page_without_gaps,
                a_process_that_ends_while_it_reads_leaves_suspects,
                a_reading_that_has_ended_leaves_no_suspects
            ],
            order: [
                one_at_a_time_per_lane_in_the_order_of_arrival,
                many_workers_never_share_a_claim,
                a_worker_that_lost_its_lease_changes_nothing,
                a_lease_that_is_extended_is_kept,
                a_lease_that_ends_is_given_to_another,
                what_a_clock_set_back_puts_off_for_years_is_due,
                what_a_dead_process_was_working_on_is_given_out_alone,
                a_failing_head_steps_aside_in_a_lane_that_does_not_block,
                a_failing_head_holds_a_blocking_lane_for_a_quarter_of_an_hour,
                a_changed_record_makes_the_worker_look_again,
                attempts_are_counted_before_they_start,
                a_redelivery_in_a_busy_lane_disturbs_nobody,
                a_smaller_id_that_comes_second_keeps_its_lane_moving
            ],
            records: [
                what_is_settled_is_there_after_a_restart,
                a_renamed_project_is_found_by_its_new_name_only,
                candidates_are_found_by_every_number,
                known_brings_what_was_asked_for,
                a_record_larger_than_a_row_comes_back,
                the_audit_log_is_newest_first,
                a_member_is_found_by_its_id_under_any_name,
                a_line_of_the_audit_log_is_found_by_its_id
            ],
            filter: [
                connections_are_listed_by_each_of_their_fields,
                projects_are_listed_by_each_of_their_fields,
                members_are_listed_by_each_of_their_fields,
                lines_of_the_audit_log_are_listed_by_each_of_their_fields,
                deliveries_are_listed_by_forge_and_action
            ],
            version: [
                every_kind_of_record_is_held_to_the_version_that_was_read
            ],
            access: [
                a_token_is_found_by_its_hash_and_can_be_revoked,
                a_setup_code_works_once
            ],
            job: [
                what_a_job_is_about_is_found_by_every_number,
                a_claim_and_a_rejected_connection_keep_nobody_out,
                an_account_that_was_taken_meanwhile_stops_what_stands_on_it,
                a_claimed_project_gives_way_to_its_proven_self,
                check_ins_and_jobs_tokens_end_with_their_time
            ],
            scan: [
                numbers_of_scans_rise,
                a_finding_is_what_the_last_scan_says_of_it,
                more_findings_than_one_act_looks_at_are_all_closed
            ],
            ticket: [
                s25_a_ticket_opens_one_thing_for_a_while,
                s25_of_many_who_bring_one_ticket_one_gets_it
            ],
            roster: [
                a_reading_goes_on_where_it_stood_after_a_restart,
                a_page_that_does_not_follow_the_last_one_is_not_kept,
                members_and_projects_come_by_their_numbers_in_parts,
                s32_whoever_is_put_out_loses_every_token_in_the_same_act,
                s33_a_break_glass_admin_is_named_and_named_no_more_in_one_act,
                removals_that_wait_are_decided_once,
                s55_each_organization_has_a_chain_that_holds
            ],
            mark: [
                a_mark_is_written_over_the_one_that_was_read_only
            ],
            credential: [
                a_credential_opens_after_a_restart_and_is_shown_by_its_end_only,
                s46_a_credential_opens_in_its_own_place_only,
                a_credential_that_was_replaced_or_destroyed_is_gone,
                a_source_that_was_written_meanwhile_is_not_written_over,
                what_was_replaced_is_erased_with_the_end_of_its_task_or_stays
            ],
            keys: [
                s48_new_keys_open_all_that_is_kept_and_no_old_one_is_left,
                s48_what_comes_while_keys_are_rotated_is_kept,
                s48_a_prepared_key_waits_to_be_put_in_force
            ],
            task: [
                equal_wishes_are_one_task_due_when_the_first_of_them_is,
                waiting_for_the_forge_uses_up_no_attempt,
                a_wish_made_while_its_task_runs_has_it_run_again,
                a_task_lost_to_another_worker_changes_nothing,
                what_a_task_learnt_is_written_only_if_what_it_looked_at_still_stands,
                many_workers_never_share_a_task,
                tasks_are_listed_by_filter_and_old_ones_forgotten
            ],
            replay: [
                a_replay_goes_on_where_its_last_piece_ended,
                a_replay_wished_for_again_while_it_runs_is_the_same_run,
                a_cancelled_replay_queues_nothing_more_and_says_how_far_it_came,
                only_a_replay_can_be_cancelled,
                a_walk_goes_on_behind_a_delivery_through_every_index
            ]
        );
        $crate::store::contract::moves!($open, $open);
    };
}

/// The cases about a move from one store into another, which may be of another kind.
macro_rules! moves {
    ($from:path, $to:path) => {
        $crate::store::contract::pairs!($from, $to; [
            what_has_moved_gives_the_same_answers,
            work_goes_on_where_it_stood,
            a_replay_goes_on_in_the_store_to_which_it_moved,
            a_copy_is_recognised_after_a_move,
            versions_move_too,
            an_import_goes_on_where_it_was_cut,
            a_changed_source_is_not_gone_on_from,
            a_store_that_holds_something_takes_no_import,
            a_frozen_view_shows_one_moment,
            a_frozen_view_misses_nothing_while_others_write
        ]);
    };
}

macro_rules! pairs {
    ($from:path, $to:path; [$($case:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (from, to) = ($from().await, $to().await);
                println!("case {} from {} to {}", stringify!($case), from.name(), to.name());
                $crate::store::contract::keep::$case(&from, &to).await;
            }
        )*
    };
}

macro_rules! cases {
    ($open:path; $($family:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        /// The cases that run on this store.
        pub(in crate::store) const CASES: &[&str] = &[$($(stringify!($case)),*),*];
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bench = $open().await;
                println!("case {} on {}", stringify!($case), bench.name());
                $crate::store::contract::$family::$case(&bench).await;
            }
        )*)*
    };
}

pub(in crate::store) use {cases, contract, moves, pairs};

#[test]
fn r17_both_stores_run_the_same_cases() {
    let (sled, postgres) = (super::sled::tests::CASES, super::postgres::tests::CASES);
    println!("{} cases on sled, {} on postgres", sled.len(), postgres.len());
    assert_eq!(sled, postgres);
    assert!(sled.len() >= 34, "{}", sled.len());
}
