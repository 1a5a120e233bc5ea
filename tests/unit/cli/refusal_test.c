/* Why a lock could not be had, in words: every refusal that has a detail, within its bounds. */
#include "client/cli/refusal.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static char text[REFUSAL_BYTES];

/* Without a detail nothing is added to the sentence. */
static void test_nothing_known_is_nothing_said(void **state)
{
    (void)state;
    const hf_refusal other = {.status = HF_EQUOTA};
    assert_string_equal(refusal_text(NULL, text), "");
    assert_string_equal(refusal_text(&other, text), "");
}

/* Who holds it, under which token, for how long, and how many wait. */
static void test_holders_are_named(void **state)
{
    (void)state;
    hf_refusal busy = {.status = HF_EBUSY, .holder_count = 1, .holders_shown = 1};
    busy.holders[0] = (hf_holder){.session = 7, .owner = 8, .fencing_token = 12};
    busy.lease_left_ms = 8200;
    busy.queue_length = 2;
    assert_string_equal(refusal_text(&busy, text),
                        " (session 7 holds it under token 12, 8.2s of its lease left, 2 waiting)");
    busy.holder_count = 4;
    busy.limit = 5;
    busy.units_taken = 4;
    busy.units_delayed = 1;
    assert_string_equal(refusal_text(&busy, text),
                        " (4 of 5 permits are taken, 1 not back yet, session 7 holds it under "
                        "token 12 and 3 more, 8.2s of the longest lease left, 2 waiting)");
    const hf_refusal waited = {.status = HF_EBUSY, .queue_length = 3};
    assert_string_equal(refusal_text(&waited, text), " (3 waiting)");
    const hf_refusal delayed = {.status = HF_EDELAYED, .delay_left_ms = 1500};
    assert_string_equal(refusal_text(&delayed, text), " (for 1.5s more)");
}

/* The cycle of a deadlock is told in its order, also one that is longer than what came. */
static void test_cycle_is_told_in_its_order(void **state)
{
    (void)state;
    hf_refusal deadlock = {.status = HF_EDEADLOCK, .cycle_length = 2, .cycle_shown = 2};
    deadlock.cycle[0] = (hf_owner){1, 5};
    deadlock.cycle[1] = (hf_owner){2, 9};
    assert_string_equal(refusal_text(&deadlock, text),
                        " (a cycle of 2: session 1 owner 5, who waits for session 2 owner 9, "
                        "who waits for the first)");
    deadlock.cycle_length = 40;
    deadlock.cycle_shown = HF_REFUSAL_OWNERS_MAX;
    for (int i = 0; i < HF_REFUSAL_OWNERS_MAX; i++)
        deadlock.cycle[i] = (hf_owner){UINT64_MAX, UINT64_MAX};
    refusal_text(&deadlock, text);
    assert_true(strlen(text) < REFUSAL_BYTES);
    assert_int_equal(strncmp(text, " (a cycle of 40: session 18446744073709551615", 45), 0);
}

/* What is held already is told by its names, as many as a sentence has room for. */
static void test_names_are_told_as_far_as_they_fit(void **state)
{
    (void)state;
    static char name[256];
    hf_refusal already = {.status = HF_EALREADY, .fencing_token = 3, .name_count = 2};
    already.names[0] = "a";
    already.names[1] = "b";
    assert_string_equal(refusal_text(&already, text), " (under token 3: \"a\", \"b\")");
    memset(name, 'x', 255);
    for (int i = 0; i < HF_NAMES_MAX; i++) already.names[i] = name;
    already.name_count = HF_NAMES_MAX;
    refusal_text(&already, text);
    assert_non_null(strstr(text, " and others)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known_is_nothing_said),
        cmocka_unit_test(test_holders_are_named),
        cmocka_unit_test(test_cycle_is_told_in_its_order),
        cmocka_unit_test(test_names_are_told_as_far_as_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
