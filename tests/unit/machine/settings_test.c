/* Replicated settings (docs/contract.md, section 9): CONFIG_SET, CONFIG_GET, and those who obey. */
#include <stdio.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"

enum { TTL_MS = 3600000 };

static struct msg_config_set wants(const char *name, uint64_t value)
{
    return (struct msg_config_set){
        .name = slice_of(name),
        .value = value,
        .reason = slice_of("the drill of may"),
        .operator_name = slice_of("ann"),
    };
}

static struct setting_line setting_of(struct fixture *f, const char *name)
{
    struct msg_config_get get = {slice_of(name)};
    struct msg_config_reply reply;
    read_ok(f, OP_CODE_CONFIG_GET, &get, 0, &reply);
    assert_int_equal(reply.settings.count, 1);
    return ((const struct setting_line *)reply.settings.items)[0];
}

static void set_ok(struct fixture *f, uint64_t session, uint64_t seq, const char *name,
                   uint64_t value)
{
    struct msg_config_set set = wants(name, value);
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, session, seq, &set)->status, HF_OK);
}

/* All are shown, with default, range and a word for people; then what one was set to. */
static void test_a_setting_has_its_default_until_it_is_set(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    struct msg_config_get all = {{NULL, 0}};
    struct msg_config_reply reply;
    read_ok(f, OP_CODE_CONFIG_GET, &all, 0, &reply);
    const struct setting_line *lines = reply.settings.items;
    assert_int_equal(reply.settings.count, SETTING_COUNT);
    for (uint32_t i = 0; i < reply.settings.count; i++) {
        assert_int_equal(lines[i].value, lines[i].initial);
        assert_int_equal(lines[i].changes, 0);
        assert_true(lines[i].min <= lines[i].value && lines[i].value <= lines[i].max);
        assert_true(lines[i].about.size > 0);
    }
    assert_int_equal(machine_setting(f->m, SETTING_GRACE_MS, 17), 17);

    struct msg_config_set set = wants("grace_ms", 3000);
    struct msg_config_set_reply done;
    read_body(f, OP_CODE_CONFIG_SET, call(f, OP_CODE_CONFIG_SET, s, 1, &set), &done);
    assert_int_equal(done.before, 2000);
    assert_int_equal(done.changes, 1);
    assert_int_equal(setting_of(f, "grace_ms").value, 3000);
    assert_int_equal(setting_of(f, "grace_ms").initial, 2000);
    assert_int_equal(machine_setting(f->m, SETTING_GRACE_MS, 17), 3000);
}

/* No such name, below the range, above it: a sentence, and nothing has changed. */
static void test_a_wrong_name_or_value_changes_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    struct setting_line before = setting_of(f, "grace_ms");
    struct msg_config_set wrong[] = {
        wants("grace", 3000),
        wants("grace_ms", before.min - 1),
        wants("grace_ms", before.max + 1),
    };
    for (unsigned i = 0; i < HF_ARRAY_COUNT(wrong); i++) {
        const struct answer *a = call(f, OP_CODE_CONFIG_SET, s, i + 1, &wrong[i]);
        struct msg_complaint complaint;
        assert_int_equal(a->status, HF_EBADREQUEST);
        read_body(f, OP_CODE_CONFIG_SET, a, &complaint);
        assert_true(complaint.sentence.size > 0);
    }
    assert_int_equal(setting_of(f, "grace_ms").changes, 0);
    set_ok(f, s, 4, "grace_ms", before.min);
    set_ok(f, s, 5, "grace_ms", before.max);
    assert_int_equal(setting_of(f, "grace_ms").value, before.max);
}

/* Two read 2000 and both want to change it: the second is told what it is now. */
static void test_of_two_administrators_one_does_not_overwrite_the_other(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "ann", TTL_MS);
    uint64_t t = open_session(f, "bob", TTL_MS);
    struct msg_config_set set = wants("grace_ms", 3000);
    set.compares = 1;
    set.expected = 2000;
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, s, 1, &set)->status, HF_OK);
    set.value = 4000;
    const struct answer *a = call(f, OP_CODE_CONFIG_SET, t, 1, &set);
    struct setting_line now;
    assert_int_equal(a->status, HF_ECHANGED);
    read_body(f, OP_CODE_CONFIG_SET, a, &now);
    assert_int_equal(now.value, 3000);
    assert_int_equal(now.changes, 1);
    set.expected = 3000;
    assert_int_equal(call(f, OP_CODE_CONFIG_SET, t, 2, &set)->status, HF_OK);
    assert_int_equal(setting_of(f, "grace_ms").value, 4000);
}

/* ------------------------------------------------------------------ those who obey */

static struct msg_begin a_begin(const char *key)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = {7};
    return (struct msg_begin){
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = 60000,
        .retain_ms = RETAIN_MS_MIN,
    };
}

/* Begin and complete it, and let its retention end: a tombstone is left. \return time left of it */
static uint64_t bury(struct fixture *f, uint64_t session, uint64_t seq, const char *key)
{
    struct msg_begin begin = a_begin(key);
    struct msg_begin_reply begun;
    const struct answer *a = call(f, OP_CODE_BEGIN, session, seq, &begin);
    assert_int_equal(a->status, HF_OK);
    read_body(f, OP_CODE_BEGIN, a, &begun);
    struct msg_complete complete = {
        .key = slice_of(key), .fencing_token = begun.fencing_token, .outcome = OUTCOME_DONE};
    assert_int_equal(call(f, OP_CODE_COMPLETE, session, seq + 1, &complete)->status, HF_OK);
    pass(f, RETAIN_MS_MIN);
    struct msg_record_get get = {slice_of(key)};
    struct msg_record_reply record;
    read_ok(f, OP_CODE_RECORD_GET, &get, 0, &record);
    assert_int_equal(record.state, RECORD_TOMBSTONE);
    return record.left_ms;
}

/* Every server buries for as long as the log says, also one that has started since. */
static void test_tombstones_live_as_long_as_is_set_on_every_server(void **state)
{
    struct fixture *f = *state;
    fixture_add_twin(f);
    uint64_t s = open_session(f, "admin", TTL_MS);
    assert_int_equal(bury(f, s, 1, "pay/1"), 10 * RETAIN_MS_MIN);
    set_ok(f, s, 3, "tombstone_factor", 3);
    machine_close(f->twin); /* it starts anew: nothing of its memory is left */
    assert_int_equal(machine_open(f->twin_store, &f->twin), HF_OK);
    assert_int_equal(bury(f, s, 4, "pay/2"), 3 * RETAIN_MS_MIN);
    set_ok(f, s, 6, "tombstone_factor", 20);
    assert_int_equal(bury(f, s, 7, "pay/3"), 20 * RETAIN_MS_MIN);
}

static int begin_born(struct fixture *f, uint64_t session, uint64_t seq, uint64_t age_ms)
{
    struct msg_begin begin = a_begin("pay/born");
    begin.born_ms = f->wall_ms - age_ms;
    return call(f, OP_CODE_BEGIN, session, seq, &begin)->status;
}

/* A key's age may be what any tombstone outlives: one of a time when they lived shorter may have
 * gone, so a factor that is raised again does not raise it. */
static void test_a_raised_factor_makes_no_older_key_acceptable(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    f->wall_ms = UINT64_C(1700000000000);
    set_ok(f, s, 1, "tombstone_factor", 20);
    assert_int_equal(begin_born(f, s, 2, 10 * RETAIN_MS_MIN + 1), HF_EKEYTOOOLD);
    set_ok(f, s, 3, "tombstone_factor", 2);
    set_ok(f, s, 4, "tombstone_factor", 20);
    assert_int_equal(begin_born(f, s, 5, 2 * RETAIN_MS_MIN + 1), HF_EKEYTOOOLD);
    assert_int_equal(begin_born(f, s, 6, 2 * RETAIN_MS_MIN), HF_OK);
}

/* The greatest age of a key is what is set. */
static void test_the_age_of_a_key_is_limited_as_set(void **state)
{
    struct fixture *f = *state;
    uint64_t s = open_session(f, "admin", TTL_MS);
    f->wall_ms = UINT64_C(1700000000000);
    set_ok(f, s, 1, "key_age_ms_max", 60000);
    assert_int_equal(begin_born(f, s, 2, 60001), HF_EKEYTOOOLD);
    assert_int_equal(begin_born(f, s, 3, 60000), HF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_a_setting_has_its_default_until_it_is_set),
        TEST(test_a_wrong_name_or_value_changes_nothing),
        TEST(test_of_two_administrators_one_does_not_overwrite_the_other),
        TEST(test_tombstones_live_as_long_as_is_set_on_every_server),
        TEST(test_a_raised_factor_makes_no_older_key_acceptable),
        TEST(test_the_age_of_a_key_is_limited_as_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
