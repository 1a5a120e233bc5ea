/* Where a WATCH begins, what it passes over, where it goes on (docs/contract.md, section 8): rules,
 * then random lives, in which all that was ever told is known and each answer is computed from
 * that. What is told: events_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/status.h"
#include "machine/events.h"
#include "machine/rows.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/watches.h"
#include "tests/unit/seeds.h"

enum { TTL_MS = 3600000, WINDOW = 1000, NAMES = 4, EPOCH = 5 };

static const char *const names[NAMES] = {"a", "ab", "b", "c"};

/* Tell `count` events of lock `name`, an even number. */
static void tell_many(struct fixture *f, uint64_t session, uint64_t *seq, const char *name,
                      unsigned count)
{
    for (unsigned i = 0; i < count / 2; i++) {
        uint64_t token = acquire_ok(f, session, ++*seq, (struct want){.name = name, .owner = 1});
        assert_int_equal(release(f, session, ++*seq, name, token, 1), HF_OK);
    }
}

static void set_window(struct fixture *f, uint64_t session, uint64_t seq, uint64_t window)
{
    const struct msg_config_set set = {
        .name = slice_of("events_window"),
        .value = window,
        .reason = slice_of("to see it end"),
        .operator_name = slice_of("ann"),
    };
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, session, seq, &set)->status, HF_OK);
}

/* 0 tells where now is; that number waits for what is next; above it is none. */
static void test_a_watch_begins_where_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    assert_int_equal(watch_now(f), 1);
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    assert_int_equal(watch_now(f), 2);
    struct msg_watch want = {.from = 3, .events_max = 10};
    assert_int_equal(watch(f, &want, &reply), HF_EBADREQUEST);
    want.from = 2;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.first, 1);
    assert_int_equal(reply.next, 2);
    assert_int_equal(reply.at_ms, f->now_ms);
    tell_many(f, s, &seq, "a", 2);
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 2);
    assert_int_equal(reply.next, 4);
}

/* What the filter does not want is passed over, and `next` is behind it. */
static void test_a_filter_is_by_prefix_and_kind(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    for (unsigned i = 0; i < NAMES; i++) tell_many(f, s, &seq, names[i], 2);
    struct msg_watch want = {.prefix = slice_of("a"), .from = 2, .events_max = 10};
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 4);
    assert_int_equal(reply.next, 10);
    want.kinds = 1 << EVENT_RELEASED;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 2);
    expect_event(&reply, 0, EVENT_RELEASED, "a");
    expect_event(&reply, 1, EVENT_RELEASED, "ab");
    assert_int_equal(reply.next, 10);
}

/* No more than it asks for, and the next answer begins behind the last one told. */
static void test_pages_follow_each_other(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    tell_many(f, s, &seq, "a", 10);
    struct msg_watch want = {.from = 2, .events_max = 3};
    uint64_t number = 2;
    while (want.from != 12) {
        assert_int_equal(watch(f, &want, &reply), HF_OK);
        assert_true(reply.events.count >= 1 && reply.events.count <= 3);
        for (uint32_t i = 0; i < reply.events.count; i++)
            assert_int_equal(event_at(&reply, i)->number, number++);
        want.from = reply.next;
    }
    assert_int_equal(number, 12);
}

/* Whatever happened before the time of an answer was looked at: one that ends before now does not
 * speak for what lies behind it, whether it is full, has looked at enough, or tells of a gap. */
static void test_an_answer_that_ends_early_tells_the_time_it_came_to(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    tell_many(f, s, &seq, "a", EVENTS_LOOK_MAX + 10);
    uint64_t early_ms = f->now_ms;
    pass(f, 1000);
    tell_many(f, s, &seq, "b", 2);
    pass(f, 1000);
    struct msg_watch want = {.prefix = slice_of("b"), .from = 2, .events_max = 10};
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.next, 2 + EVENTS_LOOK_MAX);
    assert_int_equal(reply.at_ms, early_ms);
    want.from = reply.next;
    want.events_max = 1;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.at_ms, event_at(&reply, 0)->at_ms);
    assert_int_equal(reply.at_ms, early_ms + 1000);
    want.from = reply.next;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.events.count, 1);
    assert_int_equal(reply.next, watch_now(f));
    assert_int_equal(reply.at_ms, machine_time_ms(f->m));
    assert_true(reply.at_ms > early_ms + 1000);
    set_window(f, s, ++seq, WINDOW);
    pass(f, 1000);
    want.from = 3;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 1);
    assert_int_equal(reply.at_ms, early_ms);
}

/* The window keeps the newest; who asks for older ones is told of the gap and where it goes on. */
static void test_what_is_no_longer_kept_is_a_gap(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 2;
    set_window(f, s, 1, WINDOW);
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    tell_many(f, s, &seq, "a", WINDOW + 10);
    assert_int_equal(store_count(f->store, TABLE_EVENTS), WINDOW);
    struct msg_watch want = {.from = 3, .events_max = 10};
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 1);
    assert_int_equal(reply.events.count, 0);
    assert_int_equal(reply.first, 13);
    assert_int_equal(reply.next, 13);
    want.from = reply.next;
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(event_at(&reply, 0)->number, 13);
}

/* A window that is made smaller lets go of what is too much in steps, though nothing happens. */
static void test_a_smaller_window_is_reached_in_sweeps(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    tell_many(f, s, &seq, "a", 3 * WINDOW);
    set_window(f, s, ++seq, WINDOW);
    assert_true(store_count(f->store, TABLE_EVENTS) > 2 * WINDOW);
    pass(f, 0);
    assert_int_equal(store_count(f->store, TABLE_EVENTS), WINDOW);
    assert_int_equal(watch_all(f, watch_now(f) - 1).events.count, 1);
}

/* ------------------------------------------------------------------ restores */

/* What a restore does to the numbers: another epoch, and the counter goes on. */
static void begin_epoch(struct fixture *f, uint64_t back)
{
    struct row_meta meta;
    struct slice value;
    struct buffer row;
    machine_close(f->m);
    assert_int_equal(store_get(f->store, TABLE_META, slice_of("meta"), &value), HF_OK);
    assert_int_equal(codec_decode(&row_meta_type, value, NULL, &meta), HF_OK);
    for (uint64_t i = 0; i < back; i++) { /* the snapshot is from before these */
        struct row_key key = row_key_u64(meta.restore_epoch << 48 | meta.event_counter--);
        assert_int_equal(store_del(f->store, TABLE_EVENTS, row_key_slice(&key)), HF_OK);
    }
    meta.restore_epoch += EPOCH;
    buffer_init(&row, 1024);
    assert_int_equal(codec_encode(&row_meta_type, &meta, &row), HF_OK);
    assert_int_equal(store_put(f->store, TABLE_META, slice_of("meta"), buffer_slice(&row)), HF_OK);
    buffer_close(&row);
    assert_int_equal(machine_open(f->store, &f->m), HF_OK);
}

/* Who had seen what the snapshot holds goes on; who had seen more, which is undone, is told. */
static void test_a_watch_goes_on_over_a_restore_that_undid_nothing_it_saw(void **state)
{
    struct fixture *f = *state;
    struct msg_watch_reply reply;
    uint64_t s = open_session(f, "s", TTL_MS);
    uint64_t seq = 1;
    const uint64_t epoch = (uint64_t)EPOCH << 48;
    assert_int_equal(switch_events(f, s, seq, "", true), HF_OK);
    tell_many(f, s, &seq, "a", 10); /* 1 to 11 */
    begin_epoch(f, 4);              /* 1 to 7 */
    assert_int_equal(watch_now(f), epoch | 8);
    struct msg_watch want = {.from = 8, .events_max = 20};
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(reply.next, epoch | 8);
    tell_many(f, s, &seq, "b", 6); /* 8 to 13 of the new one */
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(event_at(&reply, 0)->number, epoch | 8);
    assert_int_equal(reply.next, epoch | 14);
    want.from = 5; /* over the seam */
    assert_int_equal(watch(f, &want, &reply), HF_OK);
    assert_int_equal(reply.gap, 0);
    assert_int_equal(reply.events.count, 9);
    for (want.from = 9; want.from <= 12; want.from++) { /* it had seen 8, which never was */
        assert_int_equal(watch(f, &want, &reply), HF_OK);
        assert_int_equal(reply.gap, 1);
        assert_int_equal(reply.next, epoch | 8);
    }
}

/* ------------------------------------------------------------------ random lives */

struct life {
    struct fixture *f;       /* borrowed */
    struct prng prng;        /* of the seed */
    uint64_t session;        /* that does it all */
    uint64_t seq;            /* its last */
    uint64_t tokens[NAMES];  /* held; 0 = not */
    struct event_line *told; /* owned: all that was ever told, oldest first; names are of `names` */
    uint64_t count;          /* in it; event i has number i + 1 */
};

enum { SEEDS = 4, STEPS = 2000, TOLD_MAX = 3 * STEPS };

static uint64_t below(struct life *l, uint64_t bound)
{
    return prng_below(&l->prng, bound);
}

/* Take what is new down, with names that outlive the answer. */
static void read_new(struct life *l)
{
    static const char session_name[] = "s";
    struct msg_watch_reply all = watch_all(l->f, l->count + 1);
    for (uint32_t i = 0; i < all.events.count; i++) {
        struct event_line line = *event_at(&all, i);
        assert_int_equal(line.number, l->count + 1);
        struct slice name = slice_of(session_name);
        for (unsigned k = 0; k < NAMES; k++) {
            if (slice_equal(line.name, slice_of(names[k]))) name = slice_of(names[k]);
        }
        line.name = line.name.size > 0 ? name : (struct slice){0};
        assert_true(l->count < TOLD_MAX);
        l->told[l->count++] = line;
    }
    assert_int_equal(l->f->event_count, l->count); /* the sink heard of each */
}

static void change(struct life *l)
{
    unsigned i = (unsigned)below(l, NAMES);
    uint64_t before = l->count;
    bool held = l->tokens[i] != 0;
    if (held) {
        assert_int_equal(release(l->f, l->session, ++l->seq, names[i], l->tokens[i], 1), HF_OK);
        l->tokens[i] = 0;
    } else {
        l->tokens[i] =
            acquire_ok(l->f, l->session, ++l->seq, (struct want){.name = names[i], .owner = 1});
    }
    read_new(l);
    assert_int_equal(l->count, before + 1);
    assert_int_equal(l->told[before].kind, held ? EVENT_RELEASED : EVENT_GRANTED);
}

static bool is_wanted(const struct msg_watch *want, const struct event_line *line)
{
    if (want->kinds != 0 && (want->kinds & (UINT64_C(1) << line->kind)) == 0) return false;
    return slice_starts(line->name, want->prefix);
}

/* Ask from anywhere, for anything; every answer follows from what was told. */
static void ask(struct life *l)
{
    static const char *const prefixes[] = {"", "a", "ab", "b", "zz"};
    static const uint64_t kinds[] = {0, 1 << EVENT_GRANTED, 1 << EVENT_RELEASED, 1 << EVENT_ADMIN};
    const struct msg_watch want = {
        .prefix = slice_of(prefixes[below(l, HF_ARRAY_COUNT(prefixes))]),
        .kinds = kinds[below(l, HF_ARRAY_COUNT(kinds))],
        .from = 1 + below(l, l->count + 2),
        .events_max = 1 + below(l, 40),
    };
    struct msg_watch_reply reply;
    int status = watch(l->f, &want, &reply);
    if (want.from > l->count + 1) {
        assert_int_equal(status, HF_EBADREQUEST);
        return;
    }
    assert_int_equal(status, HF_OK);
    uint64_t kept = l->count < WINDOW ? l->count : WINDOW;
    uint64_t first = l->count - kept + 1;
    assert_int_equal(reply.first, first);
    assert_int_equal(reply.gap, want.from < first);
    uint64_t next = want.from < first ? first : want.from;
    uint32_t count = 0;
    while (reply.gap == 0 && next <= l->count && count < want.events_max) {
        const struct event_line *line = &l->told[next - 1];
        if (is_wanted(&want, line)) assert_int_equal(event_at(&reply, count++)->number, next);
        next++;
    }
    assert_int_equal(reply.events.count, count);
    assert_int_equal(reply.next, next);
}

static void live(uint64_t seed)
{
    void *state;
    assert_int_equal(fixture_setup(&state), 0);
    struct life l = {.f = state, .told = calloc(TOLD_MAX, sizeof *l.told)};
    assert_non_null(l.told);
    prng_seed(&l.prng, seed);
    if (seed % 4 == 0) fixture_add_twin(l.f);
    l.session = open_session(l.f, "s", TTL_MS);
    assert_int_equal(switch_events(l.f, l.session, ++l.seq, "", true), HF_OK);
    set_window(l.f, l.session, ++l.seq, WINDOW);
    read_new(&l);
    for (seeds_step = 0; seeds_step < STEPS; seeds_step++) {
        if (below(&l, 3) != 0)
            change(&l);
        else
            ask(&l);
    }
    assert_true(l.count > WINDOW);
    free(l.told);
    assert_int_equal(fixture_teardown(&state), 0);
}

static void test_any_watch_is_answered_from_all_that_was_told(void **state)
{
    (void)state;
    seeds_live(SEEDS, live);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_watch_begins_where_it_is_told_to),
        TEST(test_a_filter_is_by_prefix_and_kind),
        TEST(test_pages_follow_each_other),
        TEST(test_an_answer_that_ends_early_tells_the_time_it_came_to),
        TEST(test_what_is_no_longer_kept_is_a_gap),
        TEST(test_a_smaller_window_is_reached_in_sweeps),
        TEST(test_a_watch_goes_on_over_a_restore_that_undid_nothing_it_saw),
        cmocka_unit_test_teardown(test_any_watch_is_answered_from_all_that_was_told, seeds_tell),
    };
    return cmocka_run_group_tests_name("machine_watch", tests, NULL, NULL);
}
