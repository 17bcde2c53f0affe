//! The shape of the code, as far as a program can see it.

mod arrows;
mod backends;
mod budgets;
mod names;
mod sizes;
mod workspace;
