/* The table of slots; see core_grants.h for who may touch what, and in which order. */
#include "client/core_grants.h"

#include <stdlib.h>

void grants_init(struct grants *g)
{
    *g = (struct grants){.chunk_count = 0};
    list_init(&g->free);
    list_init(&g->alive);
}

void grants_close(struct grants *g)
{
    for (uint32_t i = 0; i < g->chunk_count; i++) {
        struct slot *chunk = atomic_load_explicit(&g->chunks[i], memory_order_relaxed);
        for (uint32_t k = 0; k < GRANTS_CHUNK_SLOTS; k++) free(chunk[k].key);
        free(chunk);
    }
    *g = (struct grants){.chunk_count = 0};
}

static void add_chunk(struct grants *g)
{
    if (g->chunk_count == GRANTS_CHUNKS_MAX) return;
    struct slot *chunk = calloc(GRANTS_CHUNK_SLOTS, sizeof *chunk);
    if (chunk == NULL) return;
    for (uint32_t k = 0; k < GRANTS_CHUNK_SLOTS; k++) {
        chunk[k].index = g->chunk_count * GRANTS_CHUNK_SLOTS + k;
        list_init(&chunk[k].loss_link);
        list_init(&chunk[k].asked_link);
        list_push_back(&g->free, &chunk[k].link);
        g->free_count += 1;
    }
    atomic_store_explicit(&g->chunks[g->chunk_count], chunk, memory_order_release);
    g->chunk_count += 1;
}

struct slot *grants_take(struct grants *g)
{
    if (g->free_count <= GRANTS_FREE_MIN) add_chunk(g);
    struct slot *s = NULL;
    LIST_FOR(item, &g->free)
    {
        struct slot *candidate = HF_CONTAINER_OF(item, struct slot, link);
        if (!list_empty(&candidate->loss_link)) continue; /* its loss is not told yet */
        s = candidate;
        break;
    }
    if (s == NULL) return NULL;
    list_remove(&s->link);
    g->free_count -= 1;
    HF_ASSERT(atomic_load_explicit(&s->deadline_ns, memory_order_relaxed) == 0);

    uint32_t generation = atomic_load_explicit(&s->generation, memory_order_relaxed) + 1;
    atomic_store_explicit(&s->generation, generation != 0 ? generation : 1, memory_order_release);
    atomic_store_explicit(&s->suspect_ns, 0, memory_order_release);
    atomic_store_explicit(&s->state, SLOT_ALIVE, memory_order_release);
    s->count = 1;
    s->ending = 0;
    s->confirm = NULL;
    s->extending = NULL;
    s->told_locally = false;
    s->asked_ns = 0;
    s->reason = 0;
    list_push_back(&g->alive, &s->link);
    return s;
}

void grants_end(struct grants *g, struct slot *s, enum slot_state state)
{
    HF_ASSERT(atomic_load_explicit(&s->state, memory_order_relaxed) == SLOT_ALIVE);
    HF_ASSERT(state != SLOT_ALIVE);
    atomic_store_explicit(&s->deadline_ns, 0, memory_order_release);
    atomic_store_explicit(&s->state, (uint32_t)state, memory_order_release);
    free(s->key);
    s->key = NULL;
    list_remove(&s->asked_link); /* that it is asked back need not be told any more */
    list_remove(&s->link);
    list_push_back(&g->free, &s->link);
    g->free_count += 1;
}

static struct slot *slot_at(const struct grants *g, struct grant_ref ref)
{
    if (ref.generation == 0 || ref.slot >= GRANTS_CHUNKS_MAX * GRANTS_CHUNK_SLOTS) return NULL;
    struct slot *chunk =
        atomic_load_explicit(&g->chunks[ref.slot / GRANTS_CHUNK_SLOTS], memory_order_acquire);
    return chunk != NULL ? &chunk[ref.slot % GRANTS_CHUNK_SLOTS] : NULL;
}

static bool is_use(const struct slot *s, uint32_t generation)
{
    return atomic_load_explicit(&s->generation, memory_order_acquire) == generation;
}

struct slot *grants_alive(const struct grants *g, struct grant_ref ref)
{
    struct slot *s = slot_at(g, ref);
    if (s == NULL || !is_use(s, ref.generation)) return NULL;
    return atomic_load_explicit(&s->state, memory_order_relaxed) == SLOT_ALIVE ? s : NULL;
}

struct slot *grants_find(const struct grants *g, uint64_t token)
{
    LIST_FOR(item, &g->alive)
    {
        struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
        if (s->token == token) return s;
    }
    return NULL;
}

struct grant_ref grants_ref(const struct slot *s)
{
    return (struct grant_ref){s->index, atomic_load_explicit(&s->generation, memory_order_relaxed)};
}

void grants_publish(struct slot *s, uint64_t deadline_ns, uint64_t suspect_ns)
{
    atomic_store_explicit(&s->suspect_ns, suspect_ns, memory_order_release);
    atomic_store_explicit(&s->deadline_ns, deadline_ns, memory_order_release);
}

uint64_t grants_left_ns(const struct grants *g, struct grant_ref ref, uint64_t now_ns)
{
    struct slot *s = slot_at(g, ref);
    if (s == NULL || !is_use(s, ref.generation)) return 0;
    uint64_t deadline = atomic_load_explicit(&s->deadline_ns, memory_order_acquire);
    if (!is_use(s, ref.generation) || deadline <= now_ns) return 0;
    return deadline - now_ns;
}

enum grants_word grants_state(const struct grants *g, struct grant_ref ref, uint64_t now_ns)
{
    struct slot *s = slot_at(g, ref);
    if (s == NULL || !is_use(s, ref.generation)) return GRANTS_ENDED;
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    uint64_t deadline = atomic_load_explicit(&s->deadline_ns, memory_order_acquire);
    uint64_t suspect = atomic_load_explicit(&s->suspect_ns, memory_order_acquire);
    if (!is_use(s, ref.generation) || state == SLOT_ENDED) return GRANTS_ENDED;
    if (state == SLOT_LOST) return GRANTS_LOST;
    if (deadline == 0) return GRANTS_SUSPECT; /* not known yet */
    if (deadline <= now_ns) return GRANTS_LOST;
    return suspect <= now_ns ? GRANTS_SUSPECT : GRANTS_HELD;
}
