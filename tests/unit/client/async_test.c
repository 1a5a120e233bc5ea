/* The asynchronous calls over real sockets, against a server in a thread of this test, through a
 * proxy that cuts: each is told once, on the I/O thread, with what the blocking call would have
 * answered; and calls are cancelled, from callbacks and from other threads. Built under
 * ThreadSanitizer it looks at the library's locking. */
#include "client/include/holdfast_async.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/integration/proxy.h"
#include "tests/unit/client/fake_server.h"
#include "tests/unit/cmocka_all.h"

static struct fake_server *server;
static struct proxy proxy;
static hf_client *client;

static hf_client *open_client(uint64_t timeout_ms)
{
    char servers[32];
    hf_options options;
    hf_client *opened;
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", proxy.port);
    hf_options_init(&options);
    options.servers = servers;
    options.timeout_ms = timeout_ms;
    assert_int_equal(hf_client_open(&options, &opened), HF_OK);
    return opened;
}

static int setup(void **state)
{
    (void)state;
    server = fake_server_start();
    proxy_start(&proxy, fake_server_port(server));
    client = open_client(20000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hf_client_close(client);
    proxy_stop(&proxy);
    fake_server_stop(server);
    return 0;
}

/* One call's end. */
struct end {
    sem_t told;       /* posted by each done_cb */
    int status;       /* what it was told */
    int count;        /* how often */
    pthread_t thread; /* by whom */
};

static void end_init(struct end *e)
{
    *e = (struct end){.status = 1};
    assert_int_equal(sem_init(&e->told, 0, 0), 0);
}

static void on_end(int status, void *data)
{
    struct end *e = data;
    e->status = status;
    e->count += 1;
    e->thread = pthread_self();
    sem_post(&e->told);
}

static int end_wait(struct end *e)
{
    assert_int_equal(sem_wait(&e->told), 0);
    sem_destroy(&e->told);
    assert_int_equal(e->count, 1);
    return e->status;
}

static hf_lock *new_lock(void)
{
    hf_lock *lock;
    assert_int_equal(hf_lock_new(client, &lock), HF_OK);
    return lock;
}

/* The whole way once: acquired, checked, released, each told by the one I/O thread. */
static void test_call_is_told_on_the_io_thread(void **state)
{
    (void)state;
    hf_lock *lock = new_lock();
    hf_grant grant = {0};
    hf_call call = {0};
    struct end acquired;
    struct end released;
    end_init(&acquired);
    end_init(&released);
    assert_int_equal(hf_lock_acquire_async(lock, "a", 0, &grant, NULL, on_end, &acquired, &call),
                     HF_OK);
    assert_ptr_equal(call.client, client);
    assert_int_equal(end_wait(&acquired), HF_OK);
    assert_true(hf_grant_valid(&grant, 1000));
    assert_false(pthread_equal(acquired.thread, pthread_self()));
    assert_int_equal(hf_call_cancel(&call), HF_ENOTFOUND); /* it has ended */
    assert_int_equal(hf_lock_release_async(lock, &grant, NULL, on_end, &released, NULL), HF_OK);
    assert_false(hf_grant_valid(&grant, 0)); /* at once */
    assert_int_equal(end_wait(&released), HF_OK);
    assert_true(pthread_equal(acquired.thread, released.thread));
    assert_int_equal(hf_lock_release_async(lock, &grant, NULL, on_end, NULL, NULL), HF_ENOTHELD);
    assert_int_equal(hf_lock_acquire_async(lock, "a", 0, &grant, NULL, NULL, NULL, NULL),
                     HF_EINVAL);
    assert_int_equal(hf_lock_acquire_async(lock, "", 0, &grant, NULL, on_end, NULL, NULL),
                     HF_EINVAL);
    hf_lock_free(lock);
}

/* ------------------------------------------------------------------ callbacks that go on */

enum { CHAINS = 8, ROUNDS = 200 };

struct chain {
    hf_lock *lock;     /* its owner */
    hf_grant grant;    /* while held */
    int rounds;        /* to go */
    int *holders;      /* of the lock, all chains together: at most 1 */
    int failures;      /* whatever went wrong */
    struct end finish; /* told when no round is left */
};

static void on_acquired(int status, void *data);

static void on_released(int status, void *data)
{
    struct chain *c = data;
    if (status != HF_OK) c->failures += 1;
    c->rounds -= 1;
    if (c->rounds == 0 || c->failures > 0) {
        on_end(status, &c->finish);
    } else if (hf_lock_acquire_async(c->lock, "chain", 60000, &c->grant, NULL, on_acquired, c,
                                     NULL) != HF_OK) {
        c->failures += 1;
        on_end(status, &c->finish);
    }
}

static void on_acquired(int status, void *data)
{
    struct chain *c = data;
    hf_grant none;
    *c->holders += 1;
    if (status != HF_OK || *c->holders != 1 || !hf_grant_valid(&c->grant, 0)) c->failures += 1;
    if (hf_lock_acquire(c->lock, "x", 0, &none, NULL) != HF_EINVAL) c->failures += 1; /* blocks */
    *c->holders -= 1;
    if (hf_lock_release_async(c->lock, &c->grant, NULL, on_released, c, NULL) != HF_OK) {
        c->failures += 1;
        on_end(status, &c->finish);
    }
}

/* Eight owners take turns at one lock, moved by nothing but their callbacks, while the connection
 * is cut now and then. A blocking call made from one of them is refused. */
static void test_callbacks_make_the_next_call(void **state)
{
    (void)state;
    static struct chain chains[CHAINS];
    int holders = 0;
    for (int i = 0; i < CHAINS; i++) {
        chains[i] = (struct chain){.lock = new_lock(), .rounds = ROUNDS, .holders = &holders};
        end_init(&chains[i].finish);
        assert_int_equal(hf_lock_acquire_async(chains[i].lock, "chain", 60000, &chains[i].grant,
                                               NULL, on_acquired, &chains[i], NULL),
                         HF_OK);
    }
    for (int i = 0; i < 10; i++) {
        proxy_cut_after(&proxy, -1, 500 + 100 * i);
        usleep(10000);
    }
    proxy_cut_after(&proxy, -1, -1);
    for (int i = 0; i < CHAINS; i++) {
        assert_int_equal(end_wait(&chains[i].finish), HF_OK);
        assert_int_equal(chains[i].failures, 0);
        hf_lock_free(chains[i].lock);
    }
}

/* A request of unknown outcome, retried from the callback that told so. */
struct retry {
    hf_request request;
    hf_grant grant;
    struct proxy *proxy;
    struct end finish;
    int unknowns;
};

static void on_unknown(int status, void *data)
{
    struct retry *r = data;
    if (status != HF_EUNKNOWN) {
        on_end(status, &r->finish);
        return;
    }
    r->unknowns += 1;
    proxy_hold(r->proxy, false);
    int rv = hf_request_retry_async(&r->request, on_unknown, r, NULL);
    if (rv != HF_OK) on_end(rv, &r->finish);
}

static void test_unknown_outcome_is_retried_from_its_callback(void **state)
{
    (void)state;
    static struct retry retry;
    hf_client *quick = open_client(300);
    hf_lock *lock;
    hf_grant warm;
    assert_int_equal(hf_lock_new(quick, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "warm", 0, &warm, NULL), HF_OK);
    retry = (struct retry){.proxy = &proxy};
    end_init(&retry.finish);
    proxy_hold(&proxy, true);
    assert_int_equal(
        hf_lock_acquire_async(lock, "a", 0, &retry.grant, &retry.request, on_unknown, &retry, NULL),
        HF_OK);
    assert_int_equal(end_wait(&retry.finish), HF_OK);
    assert_true(retry.unknowns > 0);
    assert_true(hf_grant_valid(&retry.grant, 0));

    proxy_hold(&proxy, true);
    hf_request request = {0};
    hf_grant grant;
    struct end cancelled;
    end_init(&cancelled);
    assert_int_equal(hf_lock_acquire(lock, "b", 0, &grant, &request), HF_EUNKNOWN);
    proxy_hold(&proxy, false);
    assert_int_equal(hf_request_cancel_async(&request, on_end, &cancelled, NULL), HF_OK);
    int status = end_wait(&cancelled);
    assert_true(status == HF_OK || status == HF_EUNKNOWN);
    assert_int_equal(hf_lock_acquire(lock, "b", 10000, &grant, NULL), HF_OK); /* no ghost */
    hf_lock_free(lock);
    hf_client_close(quick);
}

/* ------------------------------------------------------------------ cancelling */

static bool is_waited_for(const char *name)
{
    hf_lock *lock = new_lock();
    hf_grant grant;
    int rv = hf_lock_acquire(lock, name, 0, &grant, NULL);
    hf_lock_free(lock);
    return rv == HF_EBUSY;
}

/* A waiter leaves its queue when its call is cancelled; the next one is served past it. */
static void test_cancelled_wait_leaves_the_queue(void **state)
{
    (void)state;
    hf_lock *holder = new_lock();
    hf_lock *waiter = new_lock();
    hf_grant held;
    hf_grant grant = {0};
    hf_call call;
    struct end end;
    assert_int_equal(hf_lock_acquire(holder, "a", 0, &held, NULL), HF_OK);
    end_init(&end);
    assert_int_equal(hf_lock_acquire_async(waiter, "a", 60000, &grant, NULL, on_end, &end, &call),
                     HF_OK);
    assert_true(is_waited_for("a"));
    assert_int_equal(hf_call_cancel(&call), HF_OK);
    assert_int_equal(end_wait(&end), HF_ECANCELLED);
    assert_int_equal(grant.fencing_token, 0);
    assert_int_equal(hf_lock_release(holder, &held, NULL), HF_OK);
    assert_int_equal(hf_lock_acquire(waiter, "a", 0, &held, NULL), HF_OK); /* nobody before it */
    hf_lock_free(waiter);
    hf_lock_free(holder);
}

struct sleeper {
    hf_lock *lock;      /* waits for "a" */
    pthread_t thread;   /* in a blocking call */
    _Atomic int status; /* which it answered; 1 = it has not yet */
};

static void *sleep_for_lock(void *data)
{
    struct sleeper *s = data;
    hf_grant grant;
    s->status = hf_lock_acquire(s->lock, "a", 60000, &grant, NULL);
    return NULL;
}

/* Threads that block in an acquire are let go: one by its handle, the others all at once. */
static void test_blocking_call_is_cancelled_from_another_thread(void **state)
{
    (void)state;
    enum { SLEEPERS = 4 };
    struct sleeper sleepers[SLEEPERS];
    hf_lock *holder = new_lock();
    hf_grant held;
    assert_int_equal(hf_lock_acquire(holder, "a", 0, &held, NULL), HF_OK);
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i].lock = new_lock();
        sleepers[i].status = 1;
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, sleep_for_lock, &sleepers[i]),
                         0);
    }
    while (sleepers[0].status == 1) { /* it may not have begun yet */
        assert_int_equal(hf_lock_cancel(sleepers[0].lock), HF_OK);
        usleep(1000);
    }
    for (int i = 1; i < SLEEPERS; i++) {
        while (sleepers[i].status == 1) {
            assert_int_equal(hf_client_cancel(client), HF_OK);
            usleep(1000);
        }
    }
    for (int i = 0; i < SLEEPERS; i++) {
        pthread_join(sleepers[i].thread, NULL);
        /* HF_ETIMEOUT: it was cancelled twice, the second time without waiting for an answer */
        assert_true(sleepers[i].status == HF_ECANCELLED || sleepers[i].status == HF_ETIMEOUT);
        hf_lock_free(sleepers[i].lock);
    }
    assert_true(hf_grant_valid(&held, 0)); /* grants are not concerned */
    assert_int_equal(hf_lock_release(holder, &held, NULL), HF_OK);
    hf_lock_free(holder);
}

/* A handle is freed with an acquire under way: that is told, and holds nothing. */
static void test_freed_handle_ends_its_acquire(void **state)
{
    (void)state;
    hf_lock *holder = new_lock();
    hf_lock *waiter = new_lock();
    hf_grant held;
    hf_grant grant = {0};
    struct end end;
    assert_int_equal(hf_lock_acquire(holder, "a", 0, &held, NULL), HF_OK);
    end_init(&end);
    assert_int_equal(hf_lock_acquire_async(waiter, "a", 60000, &grant, NULL, on_end, &end, NULL),
                     HF_OK);
    hf_lock_free(waiter);
    int status = end_wait(&end);
    assert_true(status == HF_ECANCELLED || status == HF_ETIMEOUT);
    assert_int_equal(hf_lock_release(holder, &held, NULL), HF_OK);
    assert_int_equal(hf_lock_acquire(holder, "a", 10000, &held, NULL), HF_OK);
    hf_lock_free(holder);
}

/* ------------------------------------------------------------------ reads */

struct lines {
    int shown;           /* lines of a list */
    const hf_call *call; /* to be cancelled at the first one; or NULL */
    int cancelled;       /* what that answered */
};

static int show_lock(const hf_lock_line *line, void *data)
{
    struct lines *l = data;
    l->shown += strcmp(line->name, FAKE_LINE) == 0;
    if (l->call != NULL) l->cancelled = hf_call_cancel(l->call);
    return 0;
}

/* A list is shown page after page; cancelled between two pages it ends there. */
static void test_list_is_shown_on_the_io_thread(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct end end;
    hf_call call;
    end_init(&end);
    assert_int_equal(hf_lock_list_async(client, "", show_lock, &lines, on_end, &end, &call), HF_OK);
    assert_int_equal(end_wait(&end), HF_OK);
    assert_int_equal(lines.shown, 1);
    assert_int_equal(hf_call_cancel(&call), HF_ENOTFOUND);

    lines = (struct lines){.call = &call, .cancelled = 1};
    end_init(&end);
    assert_int_equal(hf_lock_list_async(client, "", show_lock, &lines, on_end, &end, &call), HF_OK);
    assert_int_equal(end_wait(&end), HF_ECANCELLED);
    assert_int_equal(lines.shown, 1);
    assert_int_equal(lines.cancelled, HF_OK);

    char prefix[300];
    memset(prefix, 'x', sizeof prefix);
    prefix[299] = '\0';
    assert_int_equal(hf_lock_list_async(client, prefix, show_lock, &lines, on_end, &end, &call),
                     HF_EINVAL);
}

/* ------------------------------------------------------------------ the end */

enum { PENDING = 99 };

struct pending {
    hf_client *client;
    hf_record *record;
    int verdict;
    struct end end;
    int late; /* what a call answers that its callback makes */
};

static void ignore(int status, void *data)
{
    (void)status;
    (void)data;
}

static void on_pending(int status, void *data)
{
    struct pending *p = data;
    p->late = hf_lock_check_async(p->client, "a", 1, &p->verdict, NULL, ignore, NULL, NULL);
    on_end(status, &p->end);
}

/* An acquire would be cancelled with its handle; these have none. */
static int start_pending(struct pending *p, int kind)
{
    const hf_begin how = {.wait_ms = 60000};
    hf_client *mine = p->client;
    if (kind == 0)
        return hf_record_begin_async(mine, "k", &how, &p->record, NULL, on_pending, p, NULL);
    if (kind == 1) return hf_lock_check_async(mine, "a", 1, &p->verdict, NULL, on_pending, p, NULL);
    return hf_record_resolve_async(mine, "k", 1, HF_DONE, NULL, NULL, "me", NULL, on_pending, p,
                                   NULL);
}

static void close_with_pending(bool silent)
{
    static struct pending pending[PENDING];
    hf_client *mine = open_client(500);
    hf_lock *lock;
    hf_grant held;
    assert_int_equal(hf_lock_new(mine, &lock), HF_OK);
    assert_int_equal(hf_lock_acquire(lock, "close", 0, &held, NULL), HF_OK); /* opens a session */
    hf_lock_free(lock);
    if (silent) proxy_hold(&proxy, true);
    for (int i = 0; i < PENDING; i++) {
        pending[i] = (struct pending){.client = mine, .late = 1};
        end_init(&pending[i].end);
        assert_int_equal(start_pending(&pending[i], i % 3), HF_OK);
    }
    hf_client_close(mine);
    proxy_hold(&proxy, false);
    static const int silent_answers[] = {HF_ETIMEOUT, HF_ECANCELLED, HF_EUNKNOWN};
    for (int i = 0; i < PENDING; i++) {
        assert_int_equal(pending[i].end.count, 1); /* without waiting for it */
        int status = end_wait(&pending[i].end);
        if (silent) assert_int_equal(status, silent_answers[i % 3]);
        if (silent) assert_int_equal(pending[i].late, HF_ECLOSED);
    }
}

/* Closing the client ends every call, once each, before it returns, whether or not a server
 * answers; nothing new is begun then. */
static void test_close_tells_every_call_once(void **state)
{
    (void)state;
    close_with_pending(false);
    close_with_pending(true);
}

/* A child has no I/O thread: its copies are refused, and its callbacks never run. */
static void test_child_of_a_fork_is_refused(void **state)
{
    (void)state;
    hf_lock *holder = new_lock();
    hf_lock *waiter = new_lock();
    hf_grant held;
    hf_grant grant;
    hf_call call;
    struct end end;
    end_init(&end);
    assert_int_equal(hf_lock_acquire(holder, "a", 0, &held, NULL), HF_OK);
    assert_int_equal(hf_lock_acquire_async(waiter, "a", 60000, &grant, NULL, on_end, &end, &call),
                     HF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        hf_grant none;
        int ok = hf_call_cancel(&call) == HF_ECLOSED;
        ok = ok && hf_client_cancel(client) == HF_ECLOSED;
        ok = ok && hf_lock_cancel(waiter) == HF_ECLOSED;
        ok = ok &&
             hf_lock_acquire_async(holder, "b", 0, &none, NULL, on_end, &end, NULL) == HF_ECLOSED;
        hf_lock_free(waiter);
        hf_client_close(client);
        _exit(ok && end.count == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(hf_lock_release(holder, &held, NULL), HF_OK);
    assert_int_equal(end_wait(&end), HF_OK); /* the parent goes on */
    hf_lock_free(waiter);
    hf_lock_free(holder);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_call_is_told_on_the_io_thread),
        CASE(test_callbacks_make_the_next_call),
        CASE(test_unknown_outcome_is_retried_from_its_callback),
        CASE(test_cancelled_wait_leaves_the_queue),
        CASE(test_blocking_call_is_cancelled_from_another_thread),
        CASE(test_freed_handle_ends_its_acquire),
        CASE(test_list_is_shown_on_the_io_thread),
        CASE(test_close_tells_every_call_once),
        CASE(test_child_of_a_fork_is_refused),
    };
    return cmocka_run_group_tests_name("async", tests, NULL, NULL);
}
