//! Sessions: what a site remembers of its visitors, in the format of express-session.

mod wire;
