//! A reset as a user meets it, with the real process: the plan, its approval, its end, and each way in which it can go
//! wrong. What becomes of it when the process dies is in `reset_crashes`.

mod approval;
mod backup;
mod failures;
mod maps;
mod plan;
