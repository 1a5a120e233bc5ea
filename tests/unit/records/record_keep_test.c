/* How long records are kept, what is left of them, and how they are shown: retention, tombstones,
 * RECORD_GET and RECORD_LIST (docs/contract.md, section 6). */
#include <stdio.h>

#include "tests/unit/cmocka_all.h"
#include "tests/unit/records/record_rig.h"

static int setup(void **state)
{
    *state = rig_open();
    return 0;
}

static int teardown(void **state)
{
    rig_close(*state);
    return 0;
}

enum { TOMBSTONE_FACTOR = 10, /* by default */ };
enum { LONG_TTL_MS = 3600000, TOMBSTONE_MS = TOMBSTONE_FACTOR * RETAIN_MS_MIN };

/* ------------------------------------------------------------------ retention */

/* DONE and FAILED: kept from completion on, then a tombstone, then nothing; to the millisecond. */
static void test_an_ended_record_leaves_a_tombstone_and_then_nothing(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    const uint64_t outcomes[] = {OUTCOME_DONE, OUTCOME_FAILED};
    const char *keys[] = {"pay/1", "pay/2"};
    for (int i = 0; i < 2; i++) {
        struct msg_begin begin = a_begin(keys[i]);
        uint64_t token = rig_started(r, s, &begin);
        rig_pass(r, 9000); /* does not count */
        assert_int_equal(rig_complete(r, s, keys[i], token, outcomes[i], "x").status, HF_OK);
        assert_int_equal(rig_get(r, keys[i]).as.record.left_ms, RETAIN_MS_MIN);
        rig_pass(r, RETAIN_MS_MIN - 1);
        assert_int_equal(rig_begin(r, s, keys[i]).as.begin.verdict, BEGIN_REPLAY);
        rig_pass(r, 1);
        assert_int_equal(rig_begin(r, s, keys[i]).status, HF_EKEYEXPIRED);
        struct answer a = rig_get(r, keys[i]);
        assert_int_equal(a.as.record.state, RECORD_TOMBSTONE);
        assert_int_equal(a.as.record.left_ms, TOMBSTONE_MS);
        assert_int_equal(a.as.record.body.size, 0);
        r->elapsed_ms = 1000;
        assert_int_equal(rig_get(r, keys[i]).as.record.left_ms, TOMBSTONE_MS - 1000);
        r->elapsed_ms = 0;
        rig_pass(r, TOMBSTONE_MS - 1);
        rig_keep(r, s);
        assert_int_equal(rig_begin_waiting(r, s, keys[i], 1000).status, HF_EKEYEXPIRED);
        rig_pass(r, 1);
        assert_int_equal(rig_state(r, keys[i]), RECORD_ABSENT);
        assert_int_equal(rig_begin(r, s, keys[i]).as.begin.attempt, 1);
    }
}

/* RETRYABLE and lapsed without marks: reaped after retention, and the key may be used again. */
static void test_an_unfinished_record_without_marks_is_reaped(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 1, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_RETRYABLE, "").status, HF_OK);
    struct msg_begin second = a_begin("pay/2");
    uint64_t lapsed = rig_started(r, s, &second);
    assert_int_equal(rig_checkpoint(r, s, "pay/2", lapsed, 1, MARK_NONE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, lapsed).status, HF_OK);
    rig_pass(r, RETAIN_MS_MIN - 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RETRYABLE);
    assert_int_equal(rig_state(r, "pay/2"), RECORD_RUNNING);
    rig_pass(r, 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
    assert_int_equal(rig_state(r, "pay/2"), RECORD_ABSENT);
    assert_int_equal(rig_complete(r, s, "pay/2", lapsed, OUTCOME_DONE, "x").status, HF_ESTALE);
    assert_int_equal(rig_extend(r, s, "pay/2", lapsed, 1000).as.state.state, RECORD_ABSENT);
    assert_int_equal(rig_begin(r, s, "pay/2").as.begin.attempt, 1);
    /* The old owner is heard by the new record: two may have run. */
    assert_int_equal(rig_complete(r, s, "pay/2", lapsed, OUTCOME_DONE, "x").status, HF_ESTALE);
    assert_int_equal(rig_get(r, "pay/2").as.record.late.count, 1);
}

/* EXTEND of a lapsed attempt stops its retention; the next lapse counts anew. */
static void test_retention_of_a_lapsed_record_starts_anew(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    uint64_t token = rig_started(r, s, &begin);
    rig_pass(r, 10000);
    rig_pass(r, RETAIN_MS_MIN - 1);
    assert_int_equal(rig_extend(r, s, "pay/1", token, 5000).status, HF_OK);
    rig_pass(r, 5000);
    rig_pass(r, RETAIN_MS_MIN - 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_RUNNING);
    rig_pass(r, 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_ABSENT);
}

/* UNKNOWN, and a lapsed attempt that ever made a mark, stay until somebody decides. */
static void test_marked_and_unknown_records_are_never_reaped(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("closed mark");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "closed mark", token, 1, MARK_DERIVED).status, HF_OK);
    assert_int_equal(rig_checkpoint(r, s, "closed mark", token, 2, MARK_NONE).status, HF_OK);
    begin = a_begin("open mark");
    uint64_t unknown = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "open mark", unknown, 1, MARK_ONCE).status, HF_OK);
    for (int i = 0; i < 40; i++) {
        rig_pass(r, RETAIN_MS_MIN);
        rig_keep(r, s);
    }
    assert_int_equal(rig_get(r, "closed mark").as.record.lapsed, 1);
    assert_int_equal(rig_state(r, "open mark"), RECORD_UNKNOWN);
    /* Retention counts from the decision. */
    assert_int_equal(rig_resolve(r, s, "open mark", unknown, OUTCOME_DONE, "x").status, HF_OK);
    rig_pass(r, RETAIN_MS_MIN - 1);
    assert_int_equal(rig_state(r, "open mark"), RECORD_DONE);
    rig_pass(r, 1);
    assert_int_equal(rig_state(r, "open mark"), RECORD_TOMBSTONE);
}

/* The longest retention keeps within the clock's range. */
static void test_the_longest_retention_is_kept(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    begin.retain_ms = RETAIN_MS_MAX;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_complete(r, s, "pay/1", token, OUTCOME_DONE, "x").status, HF_OK);
    rig_pass(r, RETAIN_MS_MAX - 1);
    assert_int_equal(rig_state(r, "pay/1"), RECORD_DONE);
    rig_pass(r, 1);
    assert_int_equal(rig_get(r, "pay/1").as.record.left_ms, TOMBSTONE_FACTOR * RETAIN_MS_MAX);
}

/* ------------------------------------------------------------------ GET and LIST */

/* GET shows a record whole. */
static void test_get_shows_a_record_whole(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    struct msg_begin begin = a_begin("pay/1");
    begin.born_ms = r->wall_ms - 5;
    begin.takeover = TAKEOVER_MANUAL;
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "pay/1", token, 9, MARK_DERIVED).status, HF_OK);
    rig_pass(r, 1000);
    r->elapsed_ms = 200;
    struct msg_record_reply record = rig_get(r, "pay/1").as.record;
    assert_true(is_text(record.key, "pay/1"));
    assert_true(slice_equal(record.fingerprint, a_fingerprint()));
    assert_int_equal(record.state, RECORD_RUNNING);
    assert_int_equal(record.fencing_token, token);
    assert_int_equal(record.attempt, 1);
    assert_int_equal(record.session, s);
    assert_int_equal(record.since_ms, r->now_ms - 1000);
    assert_int_equal(record.left_ms, 8800);
    assert_int_equal(record.external, MARK_DERIVED);
    assert_int_equal(record.checkpoint_number, 9);
    assert_true(is_text(record.checkpoint_data, "step data"));
    assert_int_equal(record.takeover, TAKEOVER_MANUAL);
    assert_int_equal(record.retain_ms, RETAIN_MS_MIN);
    assert_int_equal(record.born_ms, begin.born_ms);
    assert_true(is_text(record.secret_id, "secret-1"));
    assert_true(is_text(record.client_name, "worker"));
    assert_true(is_text(record.peer, "10.0.0.1:4000"));
    assert_true(is_text(record.meta, "who"));
    struct msg_record_get nothing = {slice_of("pay/2")};
    assert_int_equal(rig_read(r, OP_CODE_RECORD_GET, &nothing).status, HF_ENOTFOUND);
}

static void make_records(struct rig *r, uint64_t s, const char *prefix, int count)
{
    char key[32];
    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "%s%03d", prefix, i);
        struct msg_begin begin = a_begin(key);
        (void)rig_started(r, s, &begin);
    }
}

/* Follow the cursors; the keys found, in order, must be `prefix` and 0 .. count - 1. */
static int count_listed(struct rig *r, struct msg_record_list list, const char *prefix)
{
    char key[32];
    int count = 0;
    for (int pages = 0; pages < 1000; pages++) {
        struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
        assert_int_equal(a.status, HF_OK);
        assert_true(a.as.list.records.count <= list.count_max);
        const struct record_line *lines = a.as.list.records.items;
        for (uint32_t i = 0; i < a.as.list.records.count; i++, count++) {
            (void)snprintf(key, sizeof key, "%s%03d", prefix, count);
            assert_true(is_text(lines[i].key, key));
            assert_true(is_text(lines[i].client_name, "worker"));
            assert_true(is_text(lines[i].peer, "10.0.0.1:4000"));
        }
        if (a.as.list.cursor.size == 0) return count;
        list.cursor = a.as.list.cursor;
    }
    fail();
    return -1;
}

/* Pages hold what they may; the cursor goes on behind them; the prefix bounds both ends. */
static void test_a_list_comes_in_pages_within_its_prefix(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    make_records(r, s, "a/", 3);
    make_records(r, s, "b/", 25);
    make_records(r, s, "c/", 3);
    struct msg_record_list list = {.prefix = slice_of("b/"), .count_max = 10};
    struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
    assert_int_equal(a.as.list.records.count, 10);
    assert_true(is_text(a.as.list.cursor, "b/009"));
    assert_int_equal(count_listed(r, list, "b/"), 25);
    list.count_max = 25; /* the last page is full: the end is told at once */
    assert_int_equal(rig_read(r, OP_CODE_RECORD_LIST, &list).as.list.cursor.size, 0);
    list.count_max = 1;
    assert_int_equal(count_listed(r, list, "b/"), 25);
    list.cursor = slice_of("a/001"); /* before the prefix: from its beginning */
    assert_int_equal(count_listed(r, list, "b/"), 25);
    list.cursor = slice_of("c/001"); /* behind it: nothing */
    assert_int_equal(count_listed(r, list, "b/"), 0);
    struct msg_record_list all = {.count_max = PAGE_ITEMS_MAX};
    assert_int_equal(rig_read(r, OP_CODE_RECORD_LIST, &all).as.list.records.count, 31);
}

/* The state filter; 0 is any but TOMBSTONE, which must be asked for. */
static void test_a_list_filters_by_state(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    const char *keys[] = {"a", "b", "c", "d", "e", "f"};
    uint64_t tokens[6];
    for (int i = 0; i < 6; i++) {
        struct msg_begin begin = a_begin(keys[i]);
        begin.lease_ms = LEASE_MS_MAX;
        begin.retain_ms = i == 0 ? RETAIN_MS_MIN : RETAIN_MS_DEFAULT;
        tokens[i] = rig_started(r, s, &begin);
    }
    assert_int_equal(rig_complete(r, s, "a", tokens[0], OUTCOME_DONE, "").status, HF_OK);
    rig_pass(r, RETAIN_MS_MIN);
    assert_int_equal(rig_complete(r, s, "b", tokens[1], OUTCOME_DONE, "").status, HF_OK);
    assert_int_equal(rig_complete(r, s, "c", tokens[2], OUTCOME_FAILED, "").status, HF_OK);
    assert_int_equal(rig_complete(r, s, "d", tokens[3], OUTCOME_RETRYABLE, "").status, HF_OK);
    assert_int_equal(rig_checkpoint(r, s, "e", tokens[4], 1, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, tokens[4]).status, HF_OK);
    const struct {
        uint64_t state;
        const char *key;
    } wanted[] = {{RECORD_TOMBSTONE, "a"}, {RECORD_DONE, "b"},    {RECORD_FAILED, "c"},
                  {RECORD_RETRYABLE, "d"}, {RECORD_UNKNOWN, "e"}, {RECORD_RUNNING, "f"}};
    for (int i = 0; i < 6; i++) {
        struct msg_record_list list = {.state = wanted[i].state, .count_max = 5};
        struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
        assert_int_equal(a.as.list.records.count, 1);
        const struct record_line *line = a.as.list.records.items;
        assert_int_equal(line->state, wanted[i].state);
        assert_true(is_text(line->key, wanted[i].key));
    }
    struct msg_record_list any = {.count_max = 10};
    assert_int_equal(rig_read(r, OP_CODE_RECORD_LIST, &any).as.list.records.count, 5);
}

/* The age filter: "UNKNOWN older than N" is one call. */
static void test_a_list_filters_by_age(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    const char *keys[] = {"old", "young"};
    for (int i = 0; i < 2; i++) {
        struct msg_begin begin = a_begin(keys[i]);
        begin.takeover = TAKEOVER_MANUAL;
        assert_int_equal(rig_abandon(r, s, rig_started(r, s, &begin)).status, HF_OK);
        rig_pass(r, 1000);
    }
    struct msg_record_list list = {.state = RECORD_UNKNOWN, .older_than_ms = 2000, .count_max = 5};
    struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
    assert_int_equal(a.as.list.records.count, 1);
    assert_true(is_text(((const struct record_line *)a.as.list.records.items)->key, "old"));
    list.older_than_ms = 2001;
    assert_int_equal(rig_read(r, OP_CODE_RECORD_LIST, &list).as.list.records.count, 0);
    list.older_than_ms = 1000;
    assert_int_equal(rig_read(r, OP_CODE_RECORD_LIST, &list).as.list.records.count, 2);
}

/* A thousand of the longest lines are more than a frame: pages end by their bytes, too. */
static void test_a_page_ends_by_its_bytes(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    char key[NAME_BYTES_MAX + 1];
    char step[NAME_BYTES_MAX + 1];
    memset(step, 's', NAME_BYTES_MAX);
    step[NAME_BYTES_MAX] = 0;
    r->check_every = 5000;
    for (int i = 0; i < PAGE_ITEMS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%0255d", i);
        struct msg_begin begin = a_begin(key);
        struct msg_checkpoint checkpoint = {
            .key = begin.key,
            .fencing_token = rig_started(r, s, &begin),
            .name = slice_of(step),
            .number = 1,
        };
        assert_int_equal(rig_send(r, s, OP_CODE_CHECKPOINT, &checkpoint).status, HF_OK);
    }
    struct msg_record_list list = {.count_max = PAGE_ITEMS_MAX};
    uint32_t count = 0;
    uint32_t pages = 0;
    do {
        struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
        assert_true(a.body.size <= 600 * 1024);
        count += a.as.list.records.count;
        list.cursor = a.as.list.cursor;
        pages++;
    } while (list.cursor.size != 0);
    assert_int_equal(count, PAGE_ITEMS_MAX);
    assert_int_equal(pages, 2);
}

/* Rows that the filter passes over are bounded, too: a page may be empty and yet not the last. */
static void test_a_page_ends_by_the_bytes_it_looked_at(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    uint8_t *body = arena_take(&r->memory, BODY_BYTES_MAX);
    memset(body, 'b', BODY_BYTES_MAX);
    char key[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "k/%03d", i);
        struct msg_begin begin = a_begin(key);
        struct msg_complete complete = {
            .key = begin.key,
            .fencing_token = rig_started(r, s, &begin),
            .outcome = OUTCOME_DONE,
            .body = slice_make(body, BODY_BYTES_MAX),
        };
        assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
    }
    struct msg_record_list list = {.state = RECORD_UNKNOWN, .count_max = 10};
    struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
    assert_int_equal(a.as.list.records.count, 0);
    assert_true(a.as.list.cursor.size != 0);
    assert_int_equal(count_listed(r, list, "none"), 0);
    list.state = RECORD_DONE;
    assert_int_equal(count_listed(r, list, "k/"), 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_ended_record_leaves_a_tombstone_and_then_nothing),
        TEST(test_an_unfinished_record_without_marks_is_reaped),
        TEST(test_retention_of_a_lapsed_record_starts_anew),
        TEST(test_marked_and_unknown_records_are_never_reaped),
        TEST(test_the_longest_retention_is_kept),
        TEST(test_get_shows_a_record_whole),
        TEST(test_a_list_comes_in_pages_within_its_prefix),
        TEST(test_a_list_filters_by_state),
        TEST(test_a_list_filters_by_age),
        TEST(test_a_page_ends_by_its_bytes),
        TEST(test_a_page_ends_by_the_bytes_it_looked_at),
    };
    return cmocka_run_group_tests_name("record_keep", tests, NULL, NULL);
}
