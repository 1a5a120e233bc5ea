/* A lock with a lease is not a mutex, and what saves the resource all the same:
 *   - a holder that is stopped (SIGSTOP) past its lease and wakes up to finish its write: the lock
 *     has gone to somebody else, hf_grant_valid() is false, and the guard at the resource refuses
 *     the late write by its fencing token;
 *   - a holder that is killed: the lock is free when its session ends, and not before.
 *
 * The holder is a process of its own; the resource is this one: it keeps the greatest token seen.
 */
#include <holdfast.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/integration/server_process.h"
#include "tests/integration/whole_state.h"

enum { TTL_MS = 1500, WAIT_MS = 30000, FREE_MS_MAX = TTL_MS + 4000 };

/* What the holder writes to the resource, or says of itself. */
struct write {
    uint64_t token; /* of the grant that it goes by */
    int valid;      /* hf_grant_valid() just before */
};

struct holder {
    pid_t pid;      /* the process */
    int writes;     /* its writes come here */
    int go;         /* a byte here lets it write once more */
    uint64_t token; /* of its grant */
};

static uint64_t guard_token; /* the greatest that the resource has seen */
static unsigned refused;     /* writes that the guard refused */

/* The guard of contract, 5: `<=`, so that one holder may write often. */
static bool guard_accepts(uint64_t token)
{
    if (token < guard_token) {
        refused++;
        return false;
    }
    guard_token = token;
    return true;
}

static hf_client *open_client(const struct server_process *s)
{
    hf_client *client;
    hf_options options;
    hf_options_init(&options);
    options.servers = s->address;
    options.ttl_ms = TTL_MS;
    HF_ASSERT(hf_client_open(&options, &client) == HF_OK);
    return client;
}

/* ------------------------------------------------------------------ the holder */

static _Noreturn void hold(const struct server_process *s, int writes, int go)
{
    hf_lock *lock;
    hf_grant grant;
    char byte;
    hf_client *client = open_client(s);
    if (hf_lock_new(client, &lock) != HF_OK) _exit(2);
    if (hf_lock_acquire(lock, "account", 0, &grant, NULL) != HF_OK) _exit(2);
    do {
        struct write w = {grant.fencing_token, hf_grant_valid(&grant, 0)};
        if (write(writes, &w, sizeof w) != (ssize_t)sizeof w) _exit(2);
    } while (read(go, &byte, 1) == 1);
    _exit(0);
}

static struct holder start_holder(const struct server_process *s)
{
    int writes[2], go[2];
    struct write w;
    HF_ASSERT(pipe(writes) == 0 && pipe(go) == 0);
    struct holder h = {.pid = fork(), .writes = writes[0], .go = go[1]};
    HF_ASSERT(h.pid >= 0);
    if (h.pid == 0) {
        close(writes[0]);
        close(go[1]);
        hold(s, writes[1], go[0]);
    }
    close(writes[1]);
    close(go[0]);
    HF_ASSERT(read(h.writes, &w, sizeof w) == (ssize_t)sizeof w);
    HF_ASSERT(w.valid == 1);
    HF_ASSERT(guard_accepts(w.token));
    h.token = w.token;
    return h;
}

static void end_holder(struct holder *h)
{
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
    close(h->writes);
    close(h->go);
}

/* ------------------------------------------------------------------ the tests */

/* Stopped past its lease: somebody else has written since, and its own late write is refused. */
static void late_write_is_refused(const struct server_process *s, hf_client *other)
{
    hf_lock *lock;
    hf_grant grant;
    struct write w;
    struct holder h = start_holder(s);
    HF_ASSERT(write(h.go, "x", 1) == 1); /* a second write under the same token is welcome */
    HF_ASSERT(read(h.writes, &w, sizeof w) == (ssize_t)sizeof w);
    HF_ASSERT(guard_accepts(w.token));
    kill(h.pid, SIGSTOP);
    HF_ASSERT(hf_lock_new(other, &lock) == HF_OK);
    HF_ASSERT(hf_lock_acquire(lock, "account", WAIT_MS, &grant, NULL) == HF_OK);
    HF_ASSERT(grant.fencing_token > h.token);
    HF_ASSERT(guard_accepts(grant.fencing_token));
    HF_ASSERT(write(h.go, "x", 1) == 1);
    kill(h.pid, SIGCONT);
    HF_ASSERT(read(h.writes, &w, sizeof w) == (ssize_t)sizeof w);
    printf("late write: token=%" PRIu64 " valid=%d current=%" PRIu64 "\n", w.token, w.valid,
           guard_token);
    HF_ASSERT(w.token == h.token); /* it asks no one and writes all the same */
    HF_ASSERT(w.valid == 0);
    HF_ASSERT(!guard_accepts(w.token));
    HF_ASSERT(hf_lock_release(lock, &grant, NULL) == HF_OK);
    hf_lock_free(lock);
    end_holder(&h);
}

/* Killed while holding: free when its session has ended; not at once, and soon after. */
static void lock_of_a_killed_holder_is_free_at_its_sessions_end(const struct server_process *s,
                                                                hf_client *other)
{
    hf_lock *lock;
    hf_grant grant;
    struct holder h = start_holder(s);
    uint64_t from = now_ms();
    end_holder(&h);
    HF_ASSERT(hf_lock_new(other, &lock) == HF_OK);
    HF_ASSERT(hf_lock_acquire(lock, "account", 0, &grant, NULL) == HF_EBUSY);
    HF_ASSERT(hf_lock_acquire(lock, "account", WAIT_MS, &grant, NULL) == HF_OK);
    uint64_t took_ms = now_ms() - from;
    printf("killed holder: lock free after %" PRIu64 " ms of a %d ms lease\n", took_ms, TTL_MS);
    HF_ASSERT(took_ms < FREE_MS_MAX);
    HF_ASSERT(grant.fencing_token > h.token);
    HF_ASSERT(hf_lock_release(lock, &grant, NULL) == HF_OK);
    hf_lock_free(lock);
}

int main(void)
{
    struct server_process s;
    server_process_init(&s);
    HF_ASSERT(server_process_start(&s));
    hf_client *other = open_client(&s);
    late_write_is_refused(&s, other);
    lock_of_a_killed_holder_is_free_at_its_sessions_end(&s, other);
    HF_ASSERT(refused == 1);
    hf_client_close(other);
    HF_ASSERT(server_process_stop(&s) == 0);
    HF_ASSERT(whole_state_holds(&s));
    server_process_close(&s, false);
    return 0;
}
