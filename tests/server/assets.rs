//! `RealdocAssets`: files of the releases before.
//!
//! Owns: the site that its parts share. Must not: hold a test.

mod browser;
mod configured;
mod cost;
mod deployed;
mod in_use;
mod never;
mod recipes;
mod served;
mod site;
mod tricks;
