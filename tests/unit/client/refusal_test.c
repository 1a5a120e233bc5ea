/* What is kept of a refused acquire: each answer's detail, within its bounds, and nothing of bytes
 * that do not decode. */
#include "client/lock_refusal.h"

#include <stdlib.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

static struct lock_refusal *refusal;
static struct arena arena;
static struct buffer body;

static int setup(void **state)
{
    (void)state;
    refusal = NULL;
    buffer_init(&body, FRAME_BYTES_MAX);
    return arena_init(&arena, 64 * 1024);
}

static int teardown(void **state)
{
    (void)state;
    free(refusal);
    arena_close(&arena);
    buffer_close(&body);
    return 0;
}

static void take(int status, const void *answer)
{
    buffer_clear(&body);
    assert_int_equal(codec_encode(op_reply_type(OP_CODE_ACQUIRE, status), answer, &body), HF_OK);
    lock_refusal_take(&refusal, status, buffer_slice(&body), &arena);
}

/* The cycle of a deadlock comes whole, up to the owners that an answer has room for. */
static void test_cycle_of_a_deadlock_is_kept(void **state)
{
    (void)state;
    struct owner_item owners[DEADLOCK_OWNERS_MAX];
    for (uint64_t i = 0; i < DEADLOCK_OWNERS_MAX; i++)
        owners[i] = (struct owner_item){.session = i + 1, .owner = 100 + i};
    const struct msg_deadlock deadlock = {.owners = {owners, DEADLOCK_OWNERS_MAX}, .length = 40};
    take(HF_EDEADLOCK, &deadlock);
    assert_int_equal(refusal->shown.status, HF_EDEADLOCK);
    assert_int_equal(refusal->shown.cycle_length, 40);
    assert_int_equal(refusal->shown.cycle_shown, HF_REFUSAL_OWNERS_MAX);
    assert_int_equal(refusal->shown.cycle[15].session, 16);
    assert_int_equal(refusal->shown.cycle[15].owner, 115);
}

/* One refusal replaces the one before, all of it. */
static void test_holders_of_a_busy_lock_are_kept_until_the_next(void **state)
{
    (void)state;
    struct holder holders[BUSY_HOLDERS_MAX];
    for (uint64_t i = 0; i < BUSY_HOLDERS_MAX; i++)
        holders[i] = (struct holder){3, 4, 10 + i, MODE_PERMITS, 2};
    const struct msg_busy busy = {.holders = {holders, BUSY_HOLDERS_MAX},
                                  .holder_count = 9,
                                  .queue_length = 5,
                                  .lease_left_ms = 1234,
                                  .limit = 20,
                                  .units_taken = 18,
                                  .units_delayed = 1};
    take(HF_EBUSY, &busy);
    assert_int_equal(refusal->shown.holders_shown, HF_REFUSAL_HOLDERS_MAX);
    assert_int_equal(refusal->shown.holder_count, 9);
    assert_int_equal(refusal->shown.holders[7].fencing_token, 17);
    assert_int_equal(refusal->shown.holders[7].permits, 2);
    assert_int_equal(refusal->shown.queue_length, 5);
    assert_int_equal(refusal->shown.units_delayed, 1);
    const struct msg_delayed delayed = {.left_ms = 77};
    take(HF_EDELAYED, &delayed);
    assert_int_equal(refusal->shown.status, HF_EDELAYED);
    assert_int_equal(refusal->shown.delay_left_ms, 77);
    assert_int_equal(refusal->shown.holder_count, 0);
    lock_refusal_forget(refusal);
    assert_int_equal(refusal->shown.status, HF_OK);
    lock_refusal_forget(NULL);
}

/* Names are kept with a NUL each; more than fit were never in an answer, and are left out. */
static void test_names_held_already_are_kept_within_their_room(void **state)
{
    (void)state;
    static const uint8_t letters[NAME_BYTES_MAX] = {'n', 'm'};
    struct slice names[NAMES_MAX];
    for (size_t i = 0; i < NAMES_MAX; i++) names[i] = slice_make(letters, 1 + i % 2);
    struct msg_already already = {.fencing_token = 9, .mode = MODE_SHARED, .names = {names, 3}};
    take(HF_EALREADY, &already);
    assert_int_equal(refusal->shown.name_count, 3);
    assert_string_equal(refusal->shown.names[0], "n");
    assert_string_equal(refusal->shown.names[1], "nm");
    assert_int_equal(refusal->shown.fencing_token, 9);
    static uint8_t long_name[NAME_BYTES_MAX];
    memset(long_name, 'x', sizeof long_name);
    for (size_t i = 0; i < NAMES_MAX; i++) names[i] = slice_make(long_name, sizeof long_name);
    already.names.count = NAMES_MAX;
    take(HF_EALREADY, &already);
    assert_int_equal(refusal->shown.name_count, REPLY_STORED_BYTES_MAX / (NAME_BYTES_MAX + 1));
}

/* What does not decode, or has no detail, leaves nothing that could be taken for one. */
static void test_nothing_is_kept_of_what_does_not_decode(void **state)
{
    (void)state;
    lock_refusal_take(&refusal, HF_EQUOTA, slice_of("anything"), &arena);
    assert_null(refusal);
    lock_refusal_take(&refusal, HF_EBUSY, slice_of("not a busy"), &arena);
    assert_int_equal(refusal->shown.status, HF_OK);
    const struct msg_delayed delayed = {.left_ms = 1};
    take(HF_EDELAYED, &delayed);
    lock_refusal_take(&refusal, HF_EDEADLOCK, slice_make(body.data, body.size), &arena);
    assert_int_equal(refusal->shown.status, HF_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_cycle_of_a_deadlock_is_kept),
        CASE(test_holders_of_a_busy_lock_are_kept_until_the_next),
        CASE(test_names_held_already_are_kept_within_their_room),
        CASE(test_nothing_is_kept_of_what_does_not_decode),
    };
    return cmocka_run_group_tests_name("client_refusal", tests, NULL, NULL);
}
