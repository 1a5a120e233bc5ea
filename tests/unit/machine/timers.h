/* Requests of timers, for the tests of them. */
#ifndef TESTS_UNIT_MACHINE_TIMERS_H
#define TESTS_UNIT_MACHINE_TIMERS_H

#include "tests/unit/machine/fixture.h"

/** What SET asks for; the rest is zero: no payload, version 0. */
struct timer_want {
    const char *key;       /**< of the timer */
    const char *group;     /**< NULL = "g" */
    uint64_t delay_ms;     /**< from now */
    uint64_t version;      /**< of the key */
    uint64_t attempts_max; /**< 0 = 3 */
    const char *payload;   /**< NULL = none */
};

/** The request itself. */
struct msg_timer_set timer_request(struct timer_want want);

/** SET. \return its status. \param reply  Out: on HF_OK; may be NULL */
int set_timer(struct fixture *f, uint64_t session, uint64_t seq, struct timer_want want,
              struct msg_timer_set_reply *reply);

/** SET that must make or replace one. */
void set_ok(struct fixture *f, uint64_t session, uint64_t seq, struct timer_want want);

/** CANCEL. \return its status. \param fired  Out: on HF_EFIRED; may be NULL */
int cancel_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                 struct msg_timer_fired *fired);

/** POLL of group `group`; its answer lives until the next entry. */
struct msg_timer_poll_reply poll_timers(struct fixture *f, uint64_t session, uint64_t seq,
                                        const char *group, uint64_t count_max, uint64_t lease_ms);

/** A delivery of an answer; fails the test if there are fewer. */
const struct timer_delivery *delivery_at(const struct msg_timer_poll_reply *reply, uint32_t at);

/** POLL of one timer of group "g" that must be there. \return its token */
uint64_t poll_one(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                  uint64_t lease_ms);

/** ACK; `key` may be NULL. \return its status */
int ack_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key, uint64_t token);

/** NACK likewise. \param dead  Out: on HF_OK; may be NULL */
int nack_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key, uint64_t token,
               uint64_t delay_ms, bool *dead);

/** REQUEUE. \return its status */
int requeue_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key);

/** A page of LIST; `group` NULL = any. */
struct msg_timer_list_reply list_timers(struct fixture *f, const char *prefix, const char *group,
                                        uint64_t state, const char *cursor, uint64_t count_max);

/** The line of one timer. \return false: there is none of this key. */
bool find_timer(struct fixture *f, const char *key, struct timer_line *line);

#endif
