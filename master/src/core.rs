//! Pure state and arithmetic behind the actors: no actor, clock or socket; time is an argument.

pub mod model;
