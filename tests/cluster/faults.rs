//! Each fault of Microsoft's side, alone, on each call: it ends in the right state, and nothing is done twice.

mod mutations;
mod reads;
mod shapes;
