/* See the header. */
#include "tests/unit/machine/timers.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

struct msg_timer_set timer_request(struct timer_want want)
{
    return (struct msg_timer_set){
        .key = slice_of(want.key),
        .group = slice_of(want.group != NULL ? want.group : "g"),
        .delay_ms = want.delay_ms,
        .version = want.version,
        .attempts_max = want.attempts_max != 0 ? want.attempts_max : 3,
        .payload = want.payload != NULL ? slice_of(want.payload) : (struct slice){0},
    };
}

int set_timer(struct fixture *f, uint64_t session, uint64_t seq, struct timer_want want,
              struct msg_timer_set_reply *reply)
{
    struct msg_timer_set request = timer_request(want);
    const struct answer *answer = call(f, OP_CODE_TIMER_SET, session, seq, &request);
    if (answer->status == HF_OK && reply != NULL) read_body(f, OP_CODE_TIMER_SET, answer, reply);
    return answer->status;
}

void set_ok(struct fixture *f, uint64_t session, uint64_t seq, struct timer_want want)
{
    struct msg_timer_set_reply reply;
    assert_int_equal(set_timer(f, session, seq, want, &reply), HF_OK);
    assert_true(reply.verdict == TIMER_SCHEDULED || reply.verdict == TIMER_REPLACED);
    assert_int_equal(reply.left_ms, want.delay_ms);
    assert_int_equal(reply.version, want.version);
}

int cancel_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                 struct msg_timer_fired *fired)
{
    struct msg_timer_cancel request = {slice_of(key)};
    const struct answer *answer = call(f, OP_CODE_TIMER_CANCEL, session, seq, &request);
    if (answer->status == HF_EFIRED && fired != NULL)
        read_body(f, OP_CODE_TIMER_CANCEL, answer, fired);
    return answer->status;
}

struct msg_timer_poll_reply poll_timers(struct fixture *f, uint64_t session, uint64_t seq,
                                        const char *group, uint64_t count_max, uint64_t lease_ms)
{
    struct msg_timer_poll request = {slice_of(group), count_max, lease_ms, 0};
    struct msg_timer_poll_reply reply;
    const struct answer *answer = call(f, OP_CODE_TIMER_POLL, session, seq, &request);
    assert_int_equal(answer->status, HF_OK);
    read_body(f, OP_CODE_TIMER_POLL, answer, &reply);
    return reply;
}

const struct timer_delivery *delivery_at(const struct msg_timer_poll_reply *reply, uint32_t at)
{
    assert_true(at < reply->deliveries.count);
    return (const struct timer_delivery *)reply->deliveries.items + at;
}

uint64_t poll_one(struct fixture *f, uint64_t session, uint64_t seq, const char *key,
                  uint64_t lease_ms)
{
    struct msg_timer_poll_reply reply = poll_timers(f, session, seq, "g", 1, lease_ms);
    const struct timer_delivery *delivery = delivery_at(&reply, 0);
    assert_true(slice_equal(delivery->key, slice_of(key)));
    assert_int_equal(delivery->fencing_token, reply.first_token);
    return delivery->fencing_token;
}

int ack_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key, uint64_t token)
{
    struct msg_timer_ack request = {key != NULL ? slice_of(key) : (struct slice){0}, token};
    return call(f, OP_CODE_TIMER_ACK, session, seq, &request)->status;
}

int nack_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key, uint64_t token,
               uint64_t delay_ms, bool *dead)
{
    struct msg_timer_nack request = {
        .key = key != NULL ? slice_of(key) : (struct slice){0},
        .fencing_token = token,
        .delay_ms = delay_ms,
    };
    const struct answer *answer = call(f, OP_CODE_TIMER_NACK, session, seq, &request);
    if (answer->status != HF_OK || dead == NULL) return answer->status;
    struct msg_timer_nack_reply reply;
    read_body(f, OP_CODE_TIMER_NACK, answer, &reply);
    *dead = reply.dead == 1;
    return HF_OK;
}

int requeue_timer(struct fixture *f, uint64_t session, uint64_t seq, const char *key)
{
    struct msg_timer_requeue request = {
        .key = slice_of(key),
        .reason = slice_of("its consumer is mended"),
        .operator_name = slice_of("ann"),
    };
    return call(f, OP_CODE_TIMER_REQUEUE, session, seq, &request)->status;
}

struct msg_timer_list_reply list_timers(struct fixture *f, const char *prefix, const char *group,
                                        uint64_t state, const char *cursor, uint64_t count_max)
{
    struct msg_timer_list request = {
        .prefix = slice_of(prefix),
        .group = group != NULL ? slice_of(group) : (struct slice){0},
        .state = state,
        .cursor = slice_of(cursor),
        .count_max = count_max,
    };
    struct msg_timer_list_reply reply;
    read_ok(f, OP_CODE_TIMER_LIST, &request, 0, &reply);
    return reply;
}

bool find_timer(struct fixture *f, const char *key, struct timer_line *line)
{
    struct msg_timer_list_reply reply = list_timers(f, key, NULL, TIMER_ABSENT, "", 1);
    if (reply.timers.count == 0) return false;
    *line = *(const struct timer_line *)reply.timers.items;
    return slice_equal(line->key, slice_of(key));
}
