/* A server that stands still costs nobody a session (contract, 1.2): it is stopped (SIGSTOP) for
 * much longer than every lease and goes on. Until then each client must have declared its grant
 * lost by itself, in time and without a network; afterwards each grant is given back, so that
 * somebody else gets the lock, and no session has expired.
 *
 *     pause_server [SESSIONS [SECONDS]]     default 10 sessions, 5 s; leases of 2 s */
#include <holdfast.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tests/integration/server_process.h"

enum { SESSIONS_MAX = 200, TTL_MS = 2000, GIVEN_BACK_MS_MAX = 20000 };

struct holder {
    hf_client *client;      /* with a session of TTL_MS */
    hf_lock *lock;          /* holds pause/INDEX */
    hf_grant grant;         /* of it */
    uint64_t session;       /* before the pause */
    atomic_uint loss_count; /* lost_cb calls */
};

static struct holder holders[SESSIONS_MAX];

static void note_loss(hf_client *client, const hf_loss *loss, void *data)
{
    struct holder *h = data;
    (void)client;
    if (loss->declared_locally) atomic_fetch_add(&h->loss_count, 1);
}

static void take(struct holder *h, const struct server_process *server, unsigned index)
{
    char name[32];
    hf_options options;
    hf_options_init(&options);
    options.servers = server->address;
    options.ttl_ms = TTL_MS;
    options.timeout_ms = 60000;
    options.lost_cb = note_loss;
    options.lost_data = h;
    snprintf(name, sizeof name, "pause/%u", index);
    HF_ASSERT(hf_client_open(&options, &h->client) == HF_OK);
    HF_ASSERT(hf_lock_new(h->client, &h->lock) == HF_OK);
    HF_ASSERT(hf_lock_acquire(h->lock, name, 0, &h->grant, NULL) == HF_OK);
    h->session = hf_client_session(h->client);
}

/* While the server stands still: every grant must turn invalid by its lease, and stay so. */
static unsigned count_valid_past_lease(unsigned sessions)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < sessions; i++) {
        bool lost = hf_grant_state(&holders[i].grant) == HF_GRANT_LOST;
        if (hf_grant_valid(&holders[i].grant, 0) || !lost) bad++;
    }
    return bad;
}

/* The lock goes to a stranger only if the grant was given back: its session goes on living. */
static bool is_given_back(hf_client *stranger, unsigned index, uint64_t *token)
{
    char name[32];
    hf_lock *lock;
    hf_grant grant;
    snprintf(name, sizeof name, "pause/%u", index);
    HF_ASSERT(hf_lock_new(stranger, &lock) == HF_OK);
    int rv = hf_lock_acquire(lock, name, GIVEN_BACK_MS_MAX, &grant, NULL);
    if (rv == HF_OK) *token = grant.fencing_token;
    hf_lock_free(lock);
    return rv == HF_OK;
}

int main(int argc, char **argv)
{
    unsigned sessions = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10;
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    HF_ASSERT(sessions >= 1 && sessions <= SESSIONS_MAX);
    HF_ASSERT(seconds * 1000 > TTL_MS);
    struct server_process server;
    server_process_init(&server);
    if (!server_process_start(&server)) return 1;
    for (unsigned i = 0; i < sessions; i++) take(&holders[i], &server, i);
    hf_client *stranger;
    hf_options options;
    hf_options_init(&options);
    options.servers = server.address;
    HF_ASSERT(hf_client_open(&options, &stranger) == HF_OK);

    server_process_pause(&server);
    sleep_ms(TTL_MS + 500);
    unsigned valid_late = count_valid_past_lease(sessions);
    sleep_ms((uint64_t)seconds * 1000 - TTL_MS - 500);
    server_process_resume(&server);
    unsigned valid_again = count_valid_past_lease(sessions);

    unsigned kept = 0, not_rising = 0, expired = 0, told = 0;
    for (unsigned i = 0; i < sessions; i++) {
        uint64_t token = 0;
        if (!is_given_back(stranger, i, &token))
            kept++;
        else if (token <= holders[i].grant.fencing_token)
            not_rising++;
        if (hf_client_session(holders[i].client) != holders[i].session) expired++;
        if (atomic_load(&holders[i].loss_count) == 1) told++;
    }
    printf("sessions=%u stopped_s=%u expired=%u declared_lost=%u valid_past_lease=%u "
           "valid_after=%u not_given_back=%u tokens_not_rising=%u\n",
           sessions, seconds, expired, told, valid_late, valid_again, kept, not_rising);
    bool good = expired + valid_late + valid_again + kept + not_rising == 0 && told == sessions;
    for (unsigned i = 0; i < sessions; i++) {
        hf_lock_free(holders[i].lock);
        hf_client_close(holders[i].client);
    }
    hf_client_close(stranger);
    server_process_close(&server, !good);
    return good ? 0 : 1;
}
