/* Guarded resources: late tokens are refused, a claim shows what was paid, a provider pays as often
 * as it is asked and no more once its key is closed, and who is killed in the middle leaves whole
 * ledgers. */
#include "jepsen/run/guard.h"
#include "tests/unit/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jepsen/run/child.h"

enum { KILLS = 40 };

static char folder[] = "/tmp/guard_test.XXXXXX", before[1024];
static unsigned effects; /* seen by an audit, of whatever key */

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/guard_test.XXXXXX");
    return getcwd(before, sizeof before) != NULL && mkdtemp(folder) != NULL ? chdir(folder) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink("a");
    (void)unlink("a.ledger");
    (void)unlink("p");
    return chdir(before) == 0 ? rmdir(folder) : -1;
}

static void count(const struct guard_record *r, void *data)
{
    (void)data;
    effects += r->value != 0;
}

static unsigned audited_account(void)
{
    effects = 0;
    assert_true(guard_audit_account("a", count, NULL));
    return effects;
}

static unsigned audited_provider(void)
{
    effects = 0;
    assert_true(guard_audit("p", count, NULL));
    return effects;
}

/* A claim fences: what an older token still wants to write is refused, and leaves nothing. */
static void test_late_writes_are_refused(void **state)
{
    (void)state;
    uint64_t paid = 7, value = 0;
    assert_false(guard_read("a", &value));
    assert_true(guard_claim("a", 5, 100, "pay-1-0", &paid));
    assert_int_equal(paid, 0);
    assert_true(guard_claim("a", 6, 101, "pay-1-0", &paid));
    assert_false(guard_pay("a", 5, 11, "pay-1-0"));
    assert_false(guard_claim("a", 5, 102, "pay-1-0", &paid));
    assert_int_equal(audited_account(), 0);
    assert_true(guard_pay("a", 6, 12, "pay-1-0"));
    assert_true(guard_read("a", &value));
    assert_int_equal(value, 12);
    assert_int_equal(audited_account(), 1);
}

/* The next one to claim finds the effect by its key, and by no other key. */
static void test_claim_shows_what_was_paid(void **state)
{
    (void)state;
    uint64_t paid = 0;
    assert_true(guard_claim("a", 5, 100, "pay-1-0", &paid));
    assert_true(guard_pay("a", 5, 11, "pay-1-0"));
    assert_true(guard_claim("a", 6, 101, "pay-1-1", &paid));
    assert_int_equal(paid, 0);
    assert_true(guard_claim("a", 7, 102, "pay-1-0", &paid));
    assert_int_equal(paid, 11);
}

/* The provider looks for nothing: that is what records are for. */
static void test_provider_pays_as_often_as_it_is_asked(void **state)
{
    (void)state;
    assert_true(guard_provider_pay("p", 5, 11, "pay-1-2"));
    assert_true(guard_provider_pay("p", 6, 12, "pay-1-2"));
    assert_false(guard_provider_pay("p", 5, 13, "pay-1-2"));
    assert_int_equal(audited_provider(), 2);
}

/* A key that was not paid is closed for the lost attempt; one that was paid is not. */
static void test_closed_key_takes_no_late_payment(void **state)
{
    (void)state;
    uint64_t paid = 7;
    assert_true(guard_provider_close("p", 6, "pay-1-2", &paid));
    assert_int_equal(paid, 0);
    assert_false(guard_provider_pay("p", 5, 11, "pay-1-2"));
    assert_true(guard_provider_pay("p", 6, 12, "pay-1-2"));
    assert_true(guard_provider_close("p", 6, "pay-1-2", &paid));
    assert_int_equal(paid, 12);
    assert_int_equal(audited_provider(), 1);
    assert_true(guard_provider_close("p", 9, "pay-1-5", &paid));
    assert_false(guard_provider_close("p", 8, "pay-1-5", &paid)); /* somebody is further */
}

static int pay_for_ever(void *data)
{
    (void)data;
    uint64_t paid = 0, token = 1;
    while (guard_claim("a", token, 1, "pay-1-0", &paid) && guard_pay("a", token, 2, "pay-1-0") &&
           guard_provider_pay("p", token, 3, "pay-1-2"))
        continue;
    return 1;
}

/* SIGKILL wherever it hits: both ledgers can be read to their end, and the next one goes on. */
static void test_killed_payers_leave_whole_ledgers(void **state)
{
    (void)state;
    struct child child = {.body = pay_for_ever, .network = -1};
    unsigned paid = 0;
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = child_start(&child);
        int status = 0;
        assert_true(pid > 0);
        do {
            (void)poll(NULL, 0, (int)(i % 6));
        } while (i == 0 && audited_provider() == 0); /* it has got to its end once */
        assert_false(child_wait(pid, 0, &status));
        child_kill(pid);
        unsigned now = audited_account();
        assert_true(now >= paid);
        paid = now;
    }
    unsigned provided = audited_provider();
    assert_true(paid > 0);
    assert_true(provided <= paid && paid <= provided + KILLS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_late_writes_are_refused),
        TEST(test_claim_shows_what_was_paid),
        TEST(test_provider_pays_as_often_as_it_is_asked),
        TEST(test_closed_key_takes_no_late_payment),
        TEST(test_killed_payers_leave_whole_ledgers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
