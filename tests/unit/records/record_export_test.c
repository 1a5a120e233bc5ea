/* RECORD_EXPORT: everything under a prefix, whole, in pages that can be gone on with. */
#include <stdio.h>

#include "protocol/limits.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/records/record_rig.h"

enum { LONG_TTL_MS = 3600000 };

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

static struct msg_record_reply decode(struct rig *r, const struct answer *a, uint32_t i)
{
    struct msg_record_reply record;
    const struct record_bytes *items = a->as.exported.records.items;
    assert_true(i < a->as.exported.records.count);
    assert_int_equal(codec_decode(&msg_record_reply_type, items[i].record, &r->memory, &record),
                     HF_OK);
    return record;
}

static void complete(struct rig *r, uint64_t s, const char *key, uint64_t outcome, size_t bytes)
{
    struct msg_begin begin = a_begin(key);
    uint8_t *body = arena_take(&r->memory, bytes + 1);
    memset(body, 'b', bytes + 1);
    struct msg_complete complete = {
        .key = begin.key,
        .fencing_token = rig_started(r, s, &begin),
        .outcome = outcome,
        .code = 9,
        .body = slice_make(body, bytes),
    };
    assert_int_equal(rig_send(r, s, OP_CODE_COMPLETE, &complete).status, HF_OK);
}

/* Tombstones of "k/1" and "k/3", records "k/0", "k/2", "k/4". */
static void make_mixture(struct rig *r, uint64_t s)
{
    complete(r, s, "k/1", OUTCOME_DONE, 5);
    complete(r, s, "k/3", OUTCOME_FAILED, 5);
    rig_pass(r, RETAIN_MS_MIN);
    complete(r, s, "k/0", OUTCOME_DONE, 5);
    struct msg_begin begin = a_begin("k/2");
    uint64_t token = rig_started(r, s, &begin);
    assert_int_equal(rig_checkpoint(r, s, "k/2", token, 4, MARK_ONCE).status, HF_OK);
    assert_int_equal(rig_abandon(r, s, token).status, HF_OK);
    begin = a_begin("k/4");
    (void)rig_started(r, s, &begin);
    begin = a_begin("l/0");
    (void)rig_started(r, s, &begin);
}

/* Each record is what RECORD_GET tells, with what is left of older ones between them. */
static void test_an_export_tells_everything_in_order_of_the_keys(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    make_mixture(r, s);
    r->elapsed_ms = 70;
    struct msg_record_list list = {.prefix = slice_of("k/"), .count_max = 100};
    struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_int_equal(a.as.exported.records.count, 5);
    assert_int_equal(a.as.exported.cursor.size, 0);
    for (uint32_t i = 0; i < 5; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k/%u", i);
        const struct record_bytes *items = a.as.exported.records.items;
        struct msg_record_reply record = decode(r, &a, i);
        assert_true(is_text(record.key, key));
        assert_int_equal(record.state == RECORD_TOMBSTONE, i % 2);
        assert_true(slice_equal(items[i].record, rig_get(r, key).body));
    }
    assert_int_equal(decode(r, &a, 1).outcome, OUTCOME_DONE);
    assert_int_equal(decode(r, &a, 3).outcome, OUTCOME_FAILED);
    struct msg_record_reply unknown = decode(r, &a, 2);
    assert_int_equal(unknown.state, RECORD_UNKNOWN);
    assert_true(is_text(unknown.checkpoint_data, "step data"));
    assert_true(is_text(unknown.client_name, "worker"));
    assert_true(is_text(unknown.secret_id, "secret-1"));
}

/* A list's line has what an operator decides by: owner, checkpoint, the secret's id, the outcome.
 */
static void test_a_line_shows_what_is_decided_by(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    make_mixture(r, s);
    struct msg_record_list list = {.prefix = slice_of("k/"), .count_max = 100};
    struct answer a = rig_read(r, OP_CODE_RECORD_LIST, &list);
    const struct record_line *lines = a.as.list.records.items;
    assert_int_equal(a.as.list.records.count, 3);
    assert_int_equal(lines[0].outcome, OUTCOME_DONE);
    assert_int_equal(lines[1].state, RECORD_UNKNOWN);
    assert_int_equal(lines[1].outcome, OUTCOME_NONE);
    assert_true(is_text(lines[1].checkpoint, "charge"));
    assert_true(is_text(lines[1].client_name, "worker"));
    assert_true(is_text(lines[1].peer, "10.0.0.1:4000"));
    assert_true(is_text(lines[1].secret_id, "secret-1"));
    list.state = RECORD_TOMBSTONE;
    a = rig_read(r, OP_CODE_RECORD_LIST, &list);
    lines = a.as.list.records.items;
    assert_int_equal(a.as.list.records.count, 2);
    assert_int_equal(lines[0].outcome, OUTCOME_DONE);
    assert_int_equal(lines[1].outcome, OUTCOME_FAILED);
    assert_int_equal(lines[1].code, 9);
    assert_true(is_text(lines[1].secret_id, "secret-1"));
}

/* State and age choose, as in a list; tombstones come with their own state, too. */
static void test_an_export_filters_by_state_and_age(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    make_mixture(r, s);
    struct msg_record_list list = {.state = RECORD_UNKNOWN, .older_than_ms = 500, .count_max = 100};
    assert_int_equal(rig_read(r, OP_CODE_RECORD_EXPORT, &list).as.exported.records.count, 0);
    rig_pass(r, 500);
    struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_int_equal(a.as.exported.records.count, 1);
    assert_true(is_text(decode(r, &a, 0).key, "k/2"));
    list = (struct msg_record_list){.state = RECORD_TOMBSTONE, .count_max = 100};
    a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_int_equal(a.as.exported.records.count, 2);
    assert_true(is_text(decode(r, &a, 1).key, "k/3"));
}

/* Whatever the size of a page, the pages are the whole; and any key is a place to go on behind. */
static void test_an_export_goes_on_behind_any_key(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    make_mixture(r, s);
    for (uint64_t size = 1; size <= 7; size++) {
        struct msg_record_list list = {.count_max = size};
        uint32_t count = 0;
        do {
            struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
            for (uint32_t i = 0; i < a.as.exported.records.count; i++, count++) {
                struct slice key = decode(r, &a, i).key;
                if (count < 5) assert_int_equal(key.data[2], '0' + (int)count);
            }
            list.cursor = a.as.exported.cursor;
        } while (list.cursor.size != 0);
        assert_int_equal(count, 6);
    }
    struct msg_record_list list = {.cursor = slice_of("k/1"), .count_max = 1};
    struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_true(is_text(decode(r, &a, 0).key, "k/2"));
    list.cursor = slice_of("k/15"); /* one that is no record's */
    a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_true(is_text(decode(r, &a, 0).key, "k/2"));
    list.cursor = slice_of("z");
    a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_int_equal(a.as.exported.records.count + a.as.exported.cursor.size, 0);
}

/* Pages of the largest records fit a frame; what a filter lets pass is bounded, too. */
static void test_pages_of_an_export_are_bounded(void **state)
{
    struct rig *r = *state;
    uint64_t s = rig_session(r, LONG_TTL_MS);
    char key[NAME_BYTES_MAX + 1];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "%0255d", i);
        complete(r, s, key, OUTCOME_DONE, BODY_BYTES_MAX);
    }
    struct msg_record_list list = {.count_max = PAGE_ITEMS_MAX};
    uint32_t count = 0;
    uint32_t pages = 0;
    do {
        struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
        assert_true(a.body.size < FRAME_BYTES_MAX - FRAME_HEADER_BYTES);
        count += a.as.exported.records.count;
        list.cursor = a.as.exported.cursor;
        pages += 1;
    } while (list.cursor.size != 0);
    assert_int_equal(count, 300);
    assert_true(pages > 30);
    list.state = RECORD_UNKNOWN;
    struct answer a = rig_read(r, OP_CODE_RECORD_EXPORT, &list);
    assert_int_equal(a.as.exported.records.count, 0);
    assert_true(a.as.exported.cursor.size != 0); /* it is not the end yet */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_export_tells_everything_in_order_of_the_keys),
        TEST(test_a_line_shows_what_is_decided_by),
        TEST(test_an_export_filters_by_state_and_age),
        TEST(test_an_export_goes_on_behind_any_key),
        TEST(test_pages_of_an_export_are_bounded),
    };
    return cmocka_run_group_tests_name("record_export", tests, NULL, NULL);
}
