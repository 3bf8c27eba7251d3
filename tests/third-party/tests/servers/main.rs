//! The examples under real clients, with a real SIGTERM: goodbyes that arrive, and answers that arrive whole.

mod answers;
mod program;
mod sse;
mod websocket;
