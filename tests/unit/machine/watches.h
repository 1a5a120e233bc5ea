/* WATCH and the acts around it, for the tests of events. */
#ifndef TESTS_UNIT_MACHINE_WATCHES_H
#define TESTS_UNIT_MACHINE_WATCHES_H

#include "tests/unit/machine/fixture.h"

/** WATCH; its answer lives until the next entry. \return its status. */
int watch(struct fixture *f, const struct msg_watch *want, struct msg_watch_reply *reply);

/** All from `from` on, as one answer that must be whole. */
struct msg_watch_reply watch_all(struct fixture *f, uint64_t from);

/** Where now is. */
uint64_t watch_now(struct fixture *f);

/** An event of an answer; fails the test if there are fewer. */
const struct event_line *event_at(const struct msg_watch_reply *reply, uint32_t at);

/** Assert that event `at` is of this kind and name. \return it */
const struct event_line *expect_event(const struct msg_watch_reply *reply, uint32_t at,
                                      enum event_type kind, const char *name);

/** EVENTS_SWITCH. \return its status */
int switch_events(struct fixture *f, uint64_t session, uint64_t seq, const char *prefix, bool on);

#endif
