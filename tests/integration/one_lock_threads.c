/* Threads of one client exclude each other by one lock: each has a handle of its own, that is an
 * owner of its own, and adds one to a plain counter while it holds the lock. No update is lost,
 * and the fencing tokens rise in the order of the critical sections.
 *
 *     one_lock_threads [CYCLES]      a thread, default 50 */
#include <holdfast.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tests/integration/server_process.h"

enum { THREADS = 8, WAIT_MS = 60000 };

static hf_client *client;
static unsigned cycles;
static unsigned counter;    /* guarded by the lock alone */
static uint64_t last_token; /* likewise */
static unsigned disorder;   /* likewise: tokens that did not rise */

static void *add(void *data)
{
    hf_lock *lock;
    (void)data;
    HF_ASSERT(hf_lock_new(client, &lock) == HF_OK);
    for (unsigned i = 0; i < cycles; i++) {
        hf_grant grant;
        HF_ASSERT(hf_lock_acquire(lock, "counter", WAIT_MS, &grant, NULL) == HF_OK);
        unsigned seen = counter;
        if (grant.fencing_token <= last_token) disorder++;
        last_token = grant.fencing_token;
        sched_yield(); /* invite the others in */
        counter = seen + 1;
        HF_ASSERT(hf_lock_release(lock, &grant, NULL) == HF_OK);
    }
    hf_lock_free(lock);
    return NULL;
}

int main(int argc, char **argv)
{
    struct server_process s;
    pthread_t threads[THREADS];
    hf_options options;
    cycles = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
    server_process_init(&s);
    HF_ASSERT(server_process_start(&s));
    hf_options_init(&options);
    options.servers = s.address;
    HF_ASSERT(hf_client_open(&options, &client) == HF_OK);
    uint64_t from = now_ms();
    for (unsigned i = 0; i < THREADS; i++)
        HF_ASSERT(pthread_create(&threads[i], NULL, add, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    printf("threads=%d cycles=%u counter=%u tokens_not_rising=%u ms=%" PRIu64 "\n", THREADS, cycles,
           counter, disorder, now_ms() - from);
    hf_client_close(client);
    bool good = counter == THREADS * cycles && disorder == 0;
    good = server_process_stop(&s) == 0 && good;
    server_process_close(&s, !good);
    return good ? 0 : 1;
}
