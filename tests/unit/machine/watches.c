/* See the header. */
#include "tests/unit/machine/watches.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

int watch(struct fixture *f, const struct msg_watch *want, struct msg_watch_reply *reply)
{
    struct buffer body;
    struct watch_found found;
    int status = HF_EINTERNAL;
    buffer_init(&body, FRAME_BYTES_MAX);
    assert_int_equal(machine_watch(f->m, want, &body, &status, &found), HF_OK);
    if (status == HF_OK) {
        uint8_t *copy = arena_take(&f->arena, body.size);
        assert_non_null(copy);
        memcpy(copy, body.data, body.size);
        struct slice bytes = slice_make(copy, body.size);
        assert_int_equal(codec_decode(&msg_watch_reply_type, bytes, &f->arena, reply), HF_OK);
        assert_int_equal(found.next, reply->next);
        bool tells = reply->events.count > 0 || reply->gap == 1 || want->from == 0;
        if (tells) assert_true(found.anything);
    }
    buffer_close(&body);
    return status;
}

struct msg_watch_reply watch_all(struct fixture *f, uint64_t from)
{
    const struct msg_watch want = {.from = from, .events_max = PAGE_ITEMS_MAX};
    struct msg_watch_reply reply;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(reply.next, watch_now(f));
    return reply;
}

uint64_t watch_now(struct fixture *f)
{
    const struct msg_watch want = {.from = 0, .events_max = 1};
    struct msg_watch_reply reply;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.gap, 0);
    return reply.next;
}

const struct event_line *event_at(const struct msg_watch_reply *reply, uint32_t at)
{
    assert_true(at < reply->events.count);
    return (const struct event_line *)reply->events.items + at;
}

const struct event_line *expect_event(const struct msg_watch_reply *reply, uint32_t at,
                                      enum event_type kind, const char *name)
{
    const struct event_line *event = event_at(reply, at);
    assert_int_equal(event->kind, kind);
    assert_int_equal(event->name.size, strlen(name));
    assert_memory_equal(event->name.data, name, event->name.size);
    return event;
}

int switch_events(struct fixture *f, uint64_t session, uint64_t seq, const char *prefix, bool on)
{
    const struct msg_events_switch request = {
        .prefix = slice_of(prefix),
        .on = on,
        .reason = slice_of("to see the queue"),
        .operator_name = slice_of("ann"),
    };
    return call(f, OP_CODE_EVENTS_SWITCH, session, seq, &request)->status;
}
