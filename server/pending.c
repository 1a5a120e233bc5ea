/* See server/pending.h. */
#include "server/pending.h"

#include <stddef.h>

#include "base/buggify.h"
#include "base/status.h"

enum { EXEMPT_PART = 16 };

int pending_init(struct pending_table *t, size_t requests_max)
{
    *t = (struct pending_table){0};
    slab_init(&t->requests, sizeof(struct pending), requests_max);
    slab_init(&t->loads, sizeof(struct session_load), requests_max);
    int rv = table_init(&t->parked);
    if (rv != HF_OK) return rv;
    return table_init(&t->sessions);
}

void pending_close(struct pending_table *t)
{
    table_close(&t->parked);
    table_close(&t->sessions);
    slab_close(&t->requests);
    slab_close(&t->loads);
}

static struct session_load *find_load(const struct pending_table *t, uint64_t session)
{
    struct table_node *node = table_find(&t->sessions, session, 0);
    return node != NULL ? HF_CONTAINER_OF(node, struct session_load, node) : NULL;
}

static bool count_in(struct pending_table *t, struct pending *p)
{
    struct session_load *load = find_load(t, p->caller.session);
    if (load == NULL) {
        load = slab_take(&t->loads);
        if (load == NULL) return false;
        load->node.key[0] = p->caller.session;
        list_init(&load->requests);
        table_insert(&t->sessions, &load->node);
    }
    list_push_back(&load->requests, &p->link);
    if (p->caller.seq > load->seq_max) load->seq_max = p->caller.seq;
    load->count++;
    return true;
}

static void count_out(struct pending_table *t, struct pending *p)
{
    if (!p->counted) return;
    struct session_load *load = find_load(t, p->caller.session);
    HF_ASSERT(load != NULL && load->count > 0);
    load->count--;
    list_remove(&p->link);
    p->counted = false;
    if (load->count > 0) return;
    table_remove(&t->sessions, &load->node);
    slab_give(&t->loads, load);
}

struct pending *pending_new(struct pending_table *t, const struct replica_caller *caller,
                            bool counted)
{
    HF_ASSERT(!counted || caller->session != 0);
    size_t used_max =
        t->requests.used_max - (caller->exempt ? 0 : t->requests.used_max / EXEMPT_PART);
    if (t->requests.used >= used_max || HF_BUGGIFY(FULL_PENDING)) return NULL;
    struct pending *p = slab_take(&t->requests);
    if (p == NULL) return NULL;
    p->caller = *caller;
    p->caller.parked = false;
    p->counted = counted && count_in(t, p);
    if (p->counted == counted) return p;
    slab_give(&t->requests, p);
    return NULL;
}

bool pending_has_room(const struct pending_table *t)
{
    return t->requests.used < t->requests.used_max;
}

uint32_t pending_load(const struct pending_table *t, uint64_t session)
{
    const struct session_load *load = find_load(t, session);
    return load != NULL ? load->count : 0;
}

bool pending_has(const struct pending_table *t, uint64_t session, uint64_t seq)
{
    const struct session_load *load = find_load(t, session);
    if (load == NULL || seq > load->seq_max) return false;
    LIST_FOR(link, &load->requests)
    {
        if (HF_CONTAINER_OF(link, struct pending, link)->caller.seq == seq) return true;
    }
    return false;
}

void pending_park(struct pending_table *t, struct pending *p)
{
    HF_ASSERT(!p->caller.parked);
    count_out(t, p);
    struct pending *older = pending_find_parked(t, p->caller.session, p->caller.seq);
    if (older != NULL) pending_end(t, older);
    p->caller.parked = true;
    p->listed = true;
    p->node.key[0] = p->caller.session;
    p->node.key[1] = p->caller.seq;
    table_insert(&t->parked, &p->node);
}

struct pending *pending_find_parked(const struct pending_table *t, uint64_t session, uint64_t seq)
{
    struct table_node *node = table_find(&t->parked, session, seq);
    return node != NULL ? HF_CONTAINER_OF(node, struct pending, node) : NULL;
}

void pending_end(struct pending_table *t, struct pending *p)
{
    count_out(t, p);
    if (p->listed) table_remove(&t->parked, &p->node);
    slab_give(&t->requests, p);
}
