/* The library's branches against a real holdfastd, which is killed in between. */
#include "client/include/holdfast_tcc.h"

#include "tests/integration/client_fixture.h"

enum { TTL_MS = 30000, TIMEOUT_MS = 20000, LEASE_MS = 60000 };

static hf_branch_how how_of(const char *gid, int op)
{
    hf_branch_how how = {
        .gid = gid, .branch = "debit", .step = "take", .op = op, .lease_ms = LEASE_MS};
    hf_fingerprint(gid, strlen(gid), how.fingerprint);
    return how;
}

static int ask(hf_client *client, const char *gid, int op, hf_branch **branch)
{
    hf_branch_how how = how_of(gid, op);
    *branch = NULL;
    return hf_branch_ask(client, &how, branch, NULL);
}

/* A phase that is to be executed. */
static hf_branch *execute(hf_client *client, const char *gid, int op)
{
    hf_branch *branch;
    must(ask(client, gid, op, &branch));
    assert_int_equal(hf_branch_look(branch)->verdict, HF_BRANCH_EXECUTE);
    assert_true(hf_branch_valid(branch, 1));
    return branch;
}

static void restart(void)
{
    server_process_kill(&server);
    assert_true(server_process_start(&server));
}

/* Tried, confirmed, each only once, over a server that is killed after every step. */
static void test_a_branch_is_tried_and_confirmed_over_kills(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_branch *tried = execute(client, "order/1", HF_BRANCH_TRY);
    restart();
    hf_branch *other;
    assert_int_equal(ask(client, "order/1", HF_BRANCH_TRY, &other), HF_ERUNNING);
    assert_null(other);
    assert_int_equal(ask(client, "order/1", HF_BRANCH_CONFIRM, &other), HF_ENOTREADY);
    must(hf_branch_done(tried, HF_DONE, 7, "reserved", 8, NULL));
    restart();
    must(ask(client, "order/1", HF_BRANCH_TRY, &other));
    const hf_branch_view *view = hf_branch_look(other);
    assert_int_equal(view->verdict, HF_BRANCH_DUPLICATE);
    assert_int_equal(view->outcome, HF_DONE);
    assert_int_equal(view->code, 7);
    assert_int_equal(view->body_bytes, 8);
    assert_memory_equal(view->body, "reserved", 8);
    assert_int_equal(view->fencing_token, hf_branch_look(tried)->fencing_token);
    assert_false(hf_branch_valid(other, 0));
    assert_int_equal(hf_branch_done(other, HF_DONE, 0, NULL, 0, NULL), HF_EBADSTATE);
    hf_branch_free(other);
    hf_branch *confirm = execute(client, "order/1", HF_BRANCH_CONFIRM);
    restart();
    must(hf_branch_done(confirm, HF_DONE, 0, NULL, 0, NULL));
    must(hf_branch_done(confirm, HF_DONE, 0, NULL, 0, NULL));
    assert_int_equal(hf_branch_done(confirm, HF_DONE, 1, NULL, 0, NULL), HF_ECONFLICT);
    assert_int_equal(ask(client, "order/1", HF_BRANCH_CANCEL, &other), HF_EDECIDED);
    hf_branch_free(confirm);
    hf_branch_free(tried);
    hf_client_close(client);
}

/* The cancel came first: nothing to undo, and the late try is refused, over a kill too. */
static void test_a_try_after_its_cancel_is_hanging(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_branch *branch;
    must(ask(client, "order/2", HF_BRANCH_CANCEL, &branch));
    assert_int_equal(hf_branch_look(branch)->verdict, HF_BRANCH_EMPTY_ROLLBACK);
    assert_int_equal(hf_branch_look(branch)->tried, HF_TRY_NEVER);
    assert_true(hf_branch_look(branch)->fencing_token > 0);
    hf_branch_free(branch);
    restart();
    assert_int_equal(ask(client, "order/2", HF_BRANCH_TRY, &branch), HF_EHANGING);
    assert_int_equal(ask(client, "order/3", HF_BRANCH_CONFIRM, &branch), HF_ENOTRY);
    hf_client_close(client);
}

/* A cancel of a running try has a greater token, and the try's end is stale. */
static void test_a_cancel_makes_the_running_try_stale(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_client *coordinator = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_branch *tried = execute(client, "order/4", HF_BRANCH_TRY);
    hf_branch *cancel = execute(coordinator, "order/4", HF_BRANCH_CANCEL);
    assert_int_equal(hf_branch_look(cancel)->tried, HF_TRY_UNKNOWN);
    assert_true(hf_branch_look(cancel)->fencing_token > hf_branch_look(tried)->fencing_token);
    assert_int_equal(hf_branch_done(tried, HF_DONE, 0, NULL, 0, NULL), HF_ESTALE);
    must(hf_branch_done(cancel, HF_FAILED, 1, NULL, 0, NULL)); /* it is asked for again at once */
    hf_branch *again = execute(client, "order/4", HF_BRANCH_CANCEL);
    assert_int_equal(hf_branch_look(again)->takeover, 1);
    must(hf_branch_done(again, HF_DONE, 0, NULL, 0, NULL));
    hf_branch_free(tried);
    hf_branch_free(cancel);
    hf_branch_free(again);
    hf_client_close(coordinator);
    hf_client_close(client);
}

/* What is freed without an end is given back; what is not is known by its lease alone. */
static void test_a_phase_that_is_freed_is_given_back(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_branch *branch = execute(client, "order/5", HF_BRANCH_TRY);
    uint64_t token = hf_branch_look(branch)->fencing_token;
    hf_branch_free(branch);
    int rv;
    while ((rv = ask(client, "order/5", HF_BRANCH_TRY, &branch)) == HF_ERUNNING) sleep_ms(5);
    must(rv);
    assert_int_equal(hf_branch_look(branch)->takeover, 1);
    assert_true(hf_branch_look(branch)->fencing_token > token);
    must(hf_branch_done(branch, HF_FAILED, 3, "no", 2, NULL));
    hf_branch_free(branch);
    must(ask(client, "order/5", HF_BRANCH_TRY, &branch));
    assert_int_equal(hf_branch_look(branch)->outcome, HF_FAILED);
    hf_branch_free(branch);
    hf_branch_how how = how_of("order/6", HF_BRANCH_TRY);
    how.lease_ms = 500;
    must(hf_branch_ask(client, &how, &branch, NULL));
    assert_true(hf_branch_left_ms(branch) < 500);
    while (hf_branch_valid(branch, 0)) sleep_ms(10);
    must(hf_branch_done(branch, HF_DONE, 0, NULL, 0, NULL)); /* nobody took over */
    hf_branch_free(branch);
    hf_client_close(client);
}

static void note_done(int status, void *data)
{
    _Atomic int *done = data;
    *done = status;
}

static int wait_for(const _Atomic int *done)
{
    while (*done == 1) sleep_ms(1);
    return *done;
}

/* What is out of range is refused here; another fingerprint there; and the twins. */
static void test_arguments_and_twins_of_branches(void **state)
{
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    hf_branch *branch = NULL;
    hf_branch_how how = how_of("order/7", 4);
    assert_int_equal(hf_branch_ask(client, &how, &branch, NULL), HF_EINVAL);
    how = how_of("", HF_BRANCH_TRY);
    assert_int_equal(hf_branch_ask(client, &how, &branch, NULL), HF_EINVAL);
    char longest[256];
    memset(longest, 'g', sizeof longest);
    longest[250] = '\0'; /* with "debit" one byte too many */
    how = how_of(longest, HF_BRANCH_TRY);
    assert_int_equal(hf_branch_ask(client, &how, &branch, NULL), HF_EINVAL);
    assert_int_equal(hf_branch_done(NULL, HF_DONE, 0, NULL, 0, NULL), HF_EINVAL);
    hf_branch_free(NULL);
    assert_false(hf_branch_valid(NULL, 0));
    _Atomic int done = 1;
    how = how_of("order/7", HF_BRANCH_TRY);
    must(hf_branch_ask_async(client, &how, &branch, NULL, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    done = 1;
    assert_int_equal(hf_branch_done(branch, 17, 0, NULL, 0, NULL), HF_EINVAL);
    must(hf_branch_done_async(branch, HF_DONE, 0, NULL, 0, NULL, note_done, (void *)&done, NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    hf_branch_free(branch);
    how.op = HF_BRANCH_CONFIRM;
    how.fingerprint[0] ^= 1;
    assert_int_equal(hf_branch_ask(client, &how, &branch, NULL), HF_EMISMATCH);
    hf_client_close(client);
}

struct shown {
    unsigned count;      /* lines */
    unsigned unfinished; /* of them */
    int sorted;          /* by gid and branch, none twice */
    char last[512];      /* the last one */
};

static int note_line(const hf_branch_line *line, void *data)
{
    struct shown *shown = data;
    char key[512];
    (void)snprintf(key, sizeof key, "%s %s", line->gid, line->branch);
    shown->sorted = shown->sorted && strcmp(shown->last, key) < 0;
    (void)snprintf(shown->last, sizeof shown->last, "%s", key);
    shown->count += 1;
    shown->unfinished += line->state != HF_BRANCH_CONFIRMED && line->state != HF_BRANCH_CANCELLED;
    return 0;
}

/* More than a page, two branches each, of which one is not finished: each is shown once, in order,
 * also where a page ends between two of one transaction. */
static void test_branches_are_listed_page_after_page(void **state)
{
    enum { TRANSACTIONS = 151 };
    (void)state;
    hf_client *client = open_client(server.port, TTL_MS, TIMEOUT_MS);
    for (int i = 0; i < TRANSACTIONS; i++) {
        char gid[32];
        hf_branch *branch = NULL;
        (void)snprintf(gid, sizeof gid, "listed/%03d", i);
        hf_branch_how how = how_of(gid, HF_BRANCH_CANCEL);
        must(hf_branch_ask(client, &how, &branch, NULL));
        hf_branch_free(branch);
        how.branch = "zz";
        how.op = HF_BRANCH_TRY;
        must(hf_branch_ask(client, &how, &branch, NULL));
        hf_branch_free(branch);
    }
    struct shown all = {.sorted = 1};
    struct shown open = {.sorted = 1};
    struct shown none = {.sorted = 1};
    must(hf_branch_list(client, "listed/", 0, note_line, &all));
    assert_int_equal(all.count, 2 * TRANSACTIONS);
    assert_int_equal(all.unfinished, TRANSACTIONS);
    assert_true(all.sorted);
    _Atomic int done = 1;
    must(hf_branch_list_async(client, "listed/", 1, note_line, &open, note_done, (void *)&done,
                              NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(open.count, TRANSACTIONS);
    assert_int_equal(open.unfinished, TRANSACTIONS);
    must(hf_branch_list(client, "elsewhere/", 0, note_line, &none));
    assert_int_equal(none.count, 0);
    assert_int_equal(hf_branch_list(client, "", 0, NULL, NULL), HF_EINVAL);

    struct shown one = {.sorted = 1};
    must(hf_branch_info(client, "listed/007", "zz", note_line, &one));
    assert_int_equal(one.count, 1);
    assert_int_equal(one.unfinished, 1);
    done = 1;
    must(hf_branch_info_async(client, "listed/007", "zz", note_line, &one, note_done, (void *)&done,
                              NULL));
    assert_int_equal(wait_for(&done), HF_OK);
    assert_int_equal(one.count, 2);
    assert_int_equal(hf_branch_info(client, "listed/007", "none", note_line, &one), HF_ENOTFOUND);
    assert_int_equal(hf_branch_info(client, "", "zz", note_line, &one), HF_EINVAL);
    assert_int_equal(hf_branch_info(client, NULL, "zz", note_line, &one), HF_EINVAL);
    assert_int_equal(one.count, 2);
    hf_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_branch_is_tried_and_confirmed_over_kills),
        cmocka_unit_test(test_a_try_after_its_cancel_is_hanging),
        cmocka_unit_test(test_a_cancel_makes_the_running_try_stale),
        cmocka_unit_test(test_a_phase_that_is_freed_is_given_back),
        cmocka_unit_test(test_arguments_and_twins_of_branches),
        cmocka_unit_test(test_branches_are_listed_page_after_page),
    };
    return cmocka_run_group_tests_name("client_tcc", tests, setup, teardown);
}
