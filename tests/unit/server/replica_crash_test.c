/* The replica with the real machine, in virtual time, under power cuts at every kind of moment:
 * with writes in the air, with a flush half done, in the middle of a restart. Clients keep to the
 * protocol: one request at a time, resent under its number until it is answered.
 *
 * Held all the time: every grant that was told is there until its client releases it; tokens only
 * rise; a request sent again gets the answer that it got before; the whole state keeps its
 * invariants.
 *
 * And the one loss that the log does not show by itself: its newest file, taken away. */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/status.h"
#include "machine/invariants.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/server/world.h"

enum {
    SEEDS = TEST_SEEDS(200),
    STEPS = 400,
    PLAYERS = 4,
    NAMES = 3,
    SEGMENT_BYTES = 64 * 1024,
    TTL_MS = 3600000,
};

struct player {
    struct client client;
    unsigned number;
    uint64_t session;
    uint64_t seq;          /* of the last numbered request */
    uint16_t waiting_for;  /* op of the unanswered request; 0 = none */
    unsigned name;         /* what it is about */
    uint64_t token[NAMES]; /* held, as told; 0 = not */
    uint64_t last_seq;     /* of an ACQUIRE answered OK, and its token: to be asked again */
    uint64_t last_token;
};

struct game {
    struct world world;
    struct prng random;
    struct player players[PLAYERS];
    uint64_t token_max; /* the highest ever told */
    unsigned crash_count;
    unsigned grant_count;
};

static struct slice name_of(unsigned name)
{
    static const char *const names[NAMES] = {"a", "b", "c"};
    return slice_of(names[name]);
}

static void send_acquire(struct player *p, uint64_t seq)
{
    struct slice name = name_of(p->name);
    struct msg_acquire acquire = {.names = {.items = &name, .count = 1}, .owner = 1};
    client_send(&p->client, OP_CODE_ACQUIRE, &acquire, seq);
}

static void send_waiting(struct player *p)
{
    if (p->waiting_for == OP_CODE_OPEN) client_open(&p->client, TTL_MS);
    if (p->waiting_for == OP_CODE_ACQUIRE) send_acquire(p, p->seq);
    if (p->waiting_for == OP_CODE_RELEASE) {
        struct msg_release release = {
            .name = name_of(p->name), .fencing_token = p->token[p->name], .owner = 1};
        client_send(&p->client, OP_CODE_RELEASE, &release, p->seq);
    }
}

static void connect_player(struct game *g, struct player *p)
{
    client_connect(&p->client, &g->world);
    p->client.number = (uint8_t)p->number;
    p->client.session = p->session;
    send_waiting(p);
}

static void begin_something(struct game *g, struct player *p)
{
    p->name = (unsigned)prng_below(&g->random, NAMES);
    p->waiting_for = OP_CODE_ACQUIRE;
    if (p->session == 0)
        p->waiting_for = OP_CODE_OPEN;
    else if (p->token[p->name] != 0)
        p->waiting_for = OP_CODE_RELEASE;
    if (p->session != 0) p->seq++;
    send_waiting(p);
}

static void take_granted(struct game *g, struct player *p, struct slice body)
{
    struct msg_granted granted;
    assert_int_equal(codec_decode(&msg_granted_type, body, NULL, &granted), HF_OK);
    assert_int_equal(p->token[p->name], 0);
    p->token[p->name] = granted.fencing_token;
    p->last_seq = p->seq;
    p->last_token = granted.fencing_token;
    if (granted.fencing_token > g->token_max) g->token_max = granted.fencing_token;
    g->grant_count++;
}

static void take_answers(struct game *g, struct player *p)
{
    struct got got;
    while (client_take(&p->client, &got)) {
        struct msg_open_reply opened;
        assert_int_not_equal(p->waiting_for, 0);
        switch (p->waiting_for) {
        case OP_CODE_OPEN:
            assert_int_equal(got.status, HF_OK);
            assert_int_equal(codec_decode(&msg_open_reply_type, got.body, NULL, &opened), HF_OK);
            p->session = p->client.session = opened.session;
            break;
        case OP_CODE_ACQUIRE:
            if (got.status == HF_OK)
                take_granted(g, p, got.body);
            else
                assert_int_equal(got.status, HF_EBUSY);
            break;
        case OP_CODE_RELEASE:
            assert_int_equal(got.status, HF_OK);
            p->token[p->name] = 0;
            break;
        default: fail();
        }
        p->waiting_for = 0;
    }
}

/* Some of what a running server does, in any order and not always to its end. */
static void let_something_happen(struct game *g)
{
    struct world *w = &g->world;
    switch (prng_below(&g->random, 6)) {
    case 0: world_sleep(w, prng_below(&g->random, 700)); break;
    case 1: world_pass(w); break;
    case 2: world_settle(w); break;
    case 3: (void)world_run_log(w); break;
    case 4: (void)world_run_flush(w); break;
    default: world_write_untold(w); break; /* and may be cut off right behind this */
    }
}

static void check_grants(struct game *g)
{
    for (unsigned i = 0; i < PLAYERS; i++) {
        struct player *p = &g->players[i];
        for (unsigned name = 0; name < NAMES; name++) {
            struct msg_check check = {.name = name_of(name), .fencing_token = p->token[name]};
            struct msg_check_reply reply;
            struct got got;
            if (check.fencing_token == 0) continue;
            if (p->waiting_for == OP_CODE_RELEASE && p->name == name) continue; /* may be gone */
            struct client asker;
            client_connect(&asker, &g->world);
            client_send(&asker, OP_CODE_CHECK, &check, 0);
            assert_true(client_take(&asker, &got));
            assert_int_equal(codec_decode(&msg_check_reply_type, got.body, NULL, &reply), HF_OK);
            assert_int_equal(reply.verdict, CHECK_VALID);
            client_close(&asker);
        }
    }
}

/* The same ACQUIRE under its number gets the token that it got; nothing is waited for. */
static void ask_again(struct game *g, struct player *p)
{
    struct got got;
    struct msg_granted granted;
    if (p->waiting_for != 0 || p->last_seq == 0 || p->last_seq != p->seq) return;
    send_acquire(p, p->last_seq);
    world_settle(&g->world);
    assert_true(client_take(&p->client, &got));
    assert_int_equal(got.status, HF_OK);
    assert_int_equal(codec_decode(&msg_granted_type, got.body, NULL, &granted), HF_OK);
    assert_int_equal(granted.fencing_token, p->last_token);
}

static void check_state(struct world *w)
{
    struct buffer complaint;
    buffer_init(&complaint, 4096);
    assert_int_equal(store_verify(w->store), HF_OK);
    int rv = invariants_check(w->replica->machine, &complaint);
    if (rv != HF_OK) print_error("%.*s\n", (int)complaint.size, (const char *)complaint.data);
    assert_int_equal(rv, HF_OK);
    buffer_close(&complaint);
}

static void crash(struct game *g)
{
    struct world *w = &g->world;
    struct refusal why = {{0}};
    for (unsigned i = 0; i < PLAYERS; i++) client_close(&g->players[i].client);
    world_crash(w);
    assert_int_equal(world_start(w, &why), HF_OK);
    if (prng_below(&g->random, 4) == 0) { /* again, in the middle of the start */
        world_pass(w);
        world_crash(w);
        assert_int_equal(world_start(w, &why), HF_OK);
    }
    world_settle(w);
    g->crash_count++;
    check_state(w);
    for (unsigned i = 0; i < PLAYERS; i++) connect_player(g, &g->players[i]);
    world_settle(w);
    for (unsigned i = 0; i < PLAYERS; i++) take_answers(g, &g->players[i]);
    check_grants(g);
    for (unsigned i = 0; i < PLAYERS; i++) ask_again(g, &g->players[i]);
}

static void play(uint64_t seed, struct game *g)
{
    world_open(&g->world, seed, SEGMENT_BYTES);
    g->world.limits.trail_bytes = seed % 2 * 4096; /* from the next start on */
    prng_seed(&g->random, seed);
    for (unsigned i = 0; i < PLAYERS; i++) {
        g->players[i].number = i;
        connect_player(g, &g->players[i]);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        struct player *p = &g->players[prng_below(&g->random, PLAYERS)];
        if (p->waiting_for == 0) begin_something(g, p);
        let_something_happen(g);
        for (unsigned i = 0; i < PLAYERS; i++) take_answers(g, &g->players[i]);
        if (prng_below(&g->random, 25) == 0) crash(g);
    }
    crash(g);
    for (unsigned i = 0; i < PLAYERS; i++) client_close(&g->players[i].client);
    world_close(&g->world);
}

/* Power cuts at any moment take nothing that was told. */
static void test_power_cuts_take_nothing_that_was_told(void **state)
{
    (void)state;
    unsigned crashes = 0, grants = 0;
    struct game *g = malloc(sizeof *g);
    assert_non_null(g);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        *g = (struct game){0};
        play(seed, g);
        crashes += g->crash_count;
        grants += g->grant_count;
    }
    free(g);
    assert_true(crashes > SEEDS && grants > 10 * SEEDS); /* else nothing was tried */
}

/* ------------------------------------------------------------------ the log's newest file */

static bool is_begun(struct world *w, const char *name)
{
    static const uint8_t blank[DISK_SECTOR_BYTES];
    uint64_t size;
    const uint8_t *bytes = sim_disk_bytes(&w->disk, name, &size);
    return bytes != NULL && memcmp(bytes, blank, sizeof blank) != 0;
}

/* Write until the log has begun its second file; what begins it stays untold if `untold`. Not
 * flushed: the store stands at nothing. */
static void fill_first_file(struct world *w, bool untold)
{
    struct client c;
    client_connect(&c, w);
    client_begin_session(&c, TTL_MS);
    for (unsigned i = 0; !is_begun(w, "wal-0000000000000002"); i++) {
        assert_true(i < SEGMENT_BYTES / DISK_SECTOR_BYTES);
        assert_true(w->replica->vote.state.log_segment_min == 1);
        client_acquire(&c, 0, 0);
        if (!untold) {
            world_settle(w);
            continue;
        }
        (void)world_run_log(w);
        world_pass(w);
        world_write_untold(w);
    }
    client_close(&c);
}

/* The newest file of the log and the spare behind it are gone, and the store is behind: nothing
 * that is left shows a gap. The start is refused, the next one too. */
static void test_newest_file_of_the_log_is_missed(void **state)
{
    (void)state;
    struct world w;
    struct refusal why = {{0}};
    world_open(&w, 1, SEGMENT_BYTES);
    fill_first_file(&w, false);
    world_settle(&w);
    world_crash(&w);
    assert_true(store_mark(w.store)->index == 0);
    sim_disk_lose(&w.disk, "wal-0000000000000002");
    sim_disk_lose(&w.disk, "wal-0000000000000003");
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(world_start(&w, &why), HF_ECORRUPT);
        assert_non_null(strstr(why.text, "wal-0000000000000002 is missing"));
    }
    world_close(&w);
}

/* The power goes when a file is begun and its number not yet kept: the start goes on in it, and
 * keeps its number before it serves. */
static void test_file_that_was_begun_and_not_noted_is_gone_on_with(void **state)
{
    (void)state;
    struct world w;
    struct refusal why = {{0}};
    world_open(&w, 1, SEGMENT_BYTES);
    fill_first_file(&w, true);
    assert_true(w.replica->vote.state.log_segment_min == 1);
    world_crash(&w);
    assert_int_equal(world_start(&w, &why), HF_OK);
    assert_true(w.replica->vote.state.log_segment_min == 2);
    world_settle(&w);
    assert_true(replica_is_ready(w.replica));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts_take_nothing_that_was_told),
        cmocka_unit_test(test_newest_file_of_the_log_is_missed),
        cmocka_unit_test(test_file_that_was_begun_and_not_noted_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
