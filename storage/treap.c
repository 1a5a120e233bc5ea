/* The treap of storage/treap.h. Everything but copying and clearing is a loop; those two recurse
 * to the tree's depth, which for n rows is about 2.5 log2(n). */
#include "storage/treap.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "storage/row.h"

struct treap_row *treap_row_new(uint8_t table, struct slice key, struct slice value)
{
    HF_ASSERT(key.size >= 1 && key.size <= UINT16_MAX);
    HF_ASSERT(value.size <= UINT32_MAX);
    struct treap_row *row = malloc(sizeof *row + key.size + value.size);
    if (row == NULL) return NULL;
    *row = (struct treap_row){.priority = hash64(table ^ 0x5ea5U, key.data, key.size),
                              .hash = row_hash(table, key, value),
                              .value_bytes = (uint32_t)value.size,
                              .key_bytes = (uint16_t)key.size,
                              .table = table};
    memcpy(row->bytes, key.data, key.size);
    if (value.size > 0) memcpy(row->bytes + key.size, value.data, value.size);
    return row;
}

void treap_row_free(struct treap_row *row)
{
    free(row);
}

/* Where (table, key) lies as seen from `row`: negative before, positive behind. */
static int compare(uint8_t table, struct slice key, const struct treap_row *row)
{
    if (table != row->table) return table < row->table ? -1 : 1;
    return slice_compare(key, treap_key(row));
}

struct treap_row *treap_find(const struct treap *t, uint8_t table, struct slice key)
{
    struct treap_row *row = t->root;
    while (row != NULL) {
        int order = compare(table, key, row);
        if (order == 0) return row;
        row = order < 0 ? row->left : row->right;
    }
    return NULL;
}

struct treap_row *treap_from(const struct treap *t, uint8_t table, struct slice key, bool behind)
{
    struct treap_row *best = NULL;
    struct treap_row *row = t->root;
    while (row != NULL) {
        int order = compare(table, key, row);
        if (order < 0 || (order == 0 && !behind)) {
            best = row;
            row = row->left;
        } else {
            row = row->right;
        }
    }
    return best;
}

/* Divide a tree into what lies before and what lies behind (table, key), which it lacks. */
static void split(struct treap_row *tree, uint8_t table, struct slice key,
                  struct treap_row **before, struct treap_row **behind)
{
    while (tree != NULL) {
        if (compare(table, key, tree) > 0) {
            *before = tree;
            before = &tree->right;
            tree = tree->right;
        } else {
            *behind = tree;
            behind = &tree->left;
            tree = tree->left;
        }
    }
    *before = NULL;
    *behind = NULL;
}

static struct treap_row **link_of(struct treap *t, uint8_t table, struct slice key)
{
    struct treap_row **link = &t->root;
    while (*link != NULL) {
        int order = compare(table, key, *link);
        if (order == 0) break;
        link = order < 0 ? &(*link)->left : &(*link)->right;
    }
    return link;
}

struct treap_row *treap_insert(struct treap *t, struct treap_row *row)
{
    HF_ASSERT(row != NULL);
    HF_ASSERT(row->left == NULL && row->right == NULL);
    struct slice key = treap_key(row);
    struct treap_row **link = link_of(t, row->table, key);
    struct treap_row *old = *link;
    if (old != NULL) {
        row->left = old->left;
        row->right = old->right;
        *link = row;
        old->left = NULL;
        old->right = NULL;
        return old;
    }
    link = &t->root;
    while (*link != NULL && (*link)->priority >= row->priority) {
        link = compare(row->table, key, *link) < 0 ? &(*link)->left : &(*link)->right;
    }
    split(*link, row->table, key, &row->left, &row->right);
    *link = row;
    return NULL;
}

struct treap_row *treap_remove(struct treap *t, uint8_t table, struct slice key)
{
    struct treap_row **link = link_of(t, table, key);
    struct treap_row *old = *link;
    if (old == NULL) return NULL;
    struct treap_row *left = old->left;
    struct treap_row *right = old->right;
    while (left != NULL && right != NULL) {
        if (left->priority >= right->priority) {
            *link = left;
            link = &left->right;
            left = left->right;
        } else {
            *link = right;
            link = &right->left;
            right = right->left;
        }
    }
    *link = left != NULL ? left : right;
    old->left = NULL;
    old->right = NULL;
    return old;
}

/* On failure what was copied hangs at `to`, whole, for the caller to free. */
static int copy_below(struct treap_row **to, const struct treap_row *from)
{
    *to = NULL;
    if (from == NULL) return HF_OK;
    size_t size = sizeof *from + from->key_bytes + from->value_bytes;
    struct treap_row *row = malloc(size);
    if (row == NULL) return HF_ENOMEM;
    memcpy(row, from, size);
    row->left = NULL;
    row->right = NULL;
    *to = row;
    int rv = copy_below(&row->left, from->left);
    if (rv != HF_OK) return rv;
    return copy_below(&row->right, from->right);
}

int treap_copy(struct treap *to, const struct treap *from)
{
    HF_ASSERT(to->root == NULL);
    HF_ASSERT(to != from);
    int rv = copy_below(&to->root, from->root);
    if (rv != HF_OK) treap_clear(to);
    return rv;
}

static void free_below(struct treap_row *row)
{
    if (row == NULL) return;
    free_below(row->left);
    free_below(row->right);
    treap_row_free(row);
}

void treap_clear(struct treap *t)
{
    free_below(t->root);
    t->root = NULL;
}
