//! The inbox with a held clock, a scripted store and scripted contacts.

mod attempts;
mod dumps;
mod faults;
mod rig;
mod simulation;
mod submissions;
