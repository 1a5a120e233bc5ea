/* The generation's B+tree (Comer, "The Ubiquitous B-Tree", 1979): rows in linked leaves, branches
 * above. A full node is split on the way down, before it is needed, so that an insertion never has
 * to climb; a split at the far right leaves the left node full, since keys that only grow (tickets,
 * deadlines, event numbers) come there. A node is given back when it is empty, and not merged with
 * its neighbour before: a generation lives for a second. A lower bound in a branch points at the
 * row that was the first of its child at the split, even after that row has left: such a row is
 * marked, and its memory stays. */
#include "storage/gen_tree.h"

#include "base/assert.h"
#include "base/status.h"

enum { GEN_HEIGHT_MAX = 16 }; /* splits leave half a node: 31^15 rows */

/* Where (table, key) lies as seen from `row`: negative before, positive behind. */
static int compare(uint8_t table, struct slice key, const struct gen_row *row)
{
    if (table != row->key[0]) return table < row->key[0] ? -1 : 1;
    return slice_compare(key, gen_row_key(row));
}

/* The child that holds the place of (table, key). */
static uint32_t child_of(const struct gen_branch *b, uint8_t table, struct slice key)
{
    HF_ASSERT(b->count >= 1);
    uint32_t low = 1; /* the first child whose lower bound is behind the key, less one */
    uint32_t high = b->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare(table, key, b->first[middle]) < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low - 1;
}

/* The first row of a leaf at (table, key), or only behind it; count if there is none. */
static uint32_t place_in(const struct gen_leaf *leaf, uint8_t table, struct slice key, bool behind)
{
    uint32_t low = 0;
    uint32_t high = leaf->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare(table, key, leaf->rows[middle]);
        if (order < 0 || (order == 0 && !behind)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Split a full leaf; \param low what stays. \return the new right one, NULL: out of memory. */
static struct gen_leaf *split_leaf(struct generation *g, struct gen_leaf *leaf, uint32_t low)
{
    HF_ASSERT(leaf->count == GEN_FANOUT);
    HF_ASSERT(low >= 1 && low < GEN_FANOUT);
    struct gen_leaf *right = pool_take(&g->pool, sizeof *right);
    if (right == NULL) return NULL;
    right->count = GEN_FANOUT - low;
    memcpy(right->rows, leaf->rows + low, right->count * sizeof right->rows[0]);
    right->next = leaf->next;
    right->prev = leaf;
    if (right->next != NULL) right->next->prev = right;
    leaf->next = right;
    leaf->count = low;
    return right;
}

static struct gen_branch *split_branch(struct generation *g, struct gen_branch *b, uint32_t low)
{
    HF_ASSERT(b->count == GEN_FANOUT);
    HF_ASSERT(low >= 1 && low < GEN_FANOUT);
    struct gen_branch *right = pool_take(&g->pool, sizeof *right);
    if (right == NULL) return NULL;
    right->count = GEN_FANOUT - low;
    memcpy(right->first, b->first + low, right->count * sizeof right->first[0]);
    memcpy(right->children, b->children + low, right->count * sizeof right->children[0]);
    b->count = low;
    return right;
}

/* Split the full child `at` of a branch that has room. */
static int split_child(struct generation *g, struct gen_branch *parent, uint32_t at,
                       unsigned child_height, const struct gen_row *row)
{
    HF_ASSERT(parent->count < GEN_FANOUT);
    HF_ASSERT(at < parent->count);
    void *right;
    struct gen_row *first;
    if (child_height == 0) {
        struct gen_leaf *leaf = parent->children[at];
        bool at_end = leaf->next == NULL &&
                      compare(row->key[0], gen_row_key(row), leaf->rows[GEN_FANOUT - 1]) > 0;
        struct gen_leaf *new_leaf = split_leaf(g, leaf, at_end ? GEN_FANOUT - 1 : GEN_FANOUT / 2);
        if (new_leaf == NULL) return HF_ENOMEM;
        first = new_leaf->rows[0];
        right = new_leaf;
    } else {
        struct gen_branch *new_branch = split_branch(g, parent->children[at], GEN_FANOUT / 2);
        if (new_branch == NULL) return HF_ENOMEM;
        first = new_branch->first[0];
        right = new_branch;
    }
    uint32_t behind = parent->count - at - 1;
    memmove(parent->first + at + 2, parent->first + at + 1, behind * sizeof parent->first[0]);
    memmove(parent->children + at + 2, parent->children + at + 1,
            behind * sizeof parent->children[0]);
    first->is_bound = true;
    parent->first[at + 1] = first;
    parent->children[at + 1] = right;
    parent->count += 1;
    return HF_OK;
}

static bool is_full(const void *node, unsigned height)
{
    if (height == 0) return ((const struct gen_leaf *)node)->count == GEN_FANOUT;
    return ((const struct gen_branch *)node)->count == GEN_FANOUT;
}

/* Make the first leaf, or a new root above a full one. */
static int prepare_root(struct generation *g)
{
    if (g->root == NULL) {
        struct gen_leaf *leaf = pool_take(&g->pool, sizeof *leaf);
        if (leaf == NULL) return HF_ENOMEM;
        leaf->next = NULL;
        leaf->prev = NULL;
        leaf->count = 0;
        g->root = leaf;
        HF_ASSERT(g->height == 0);
        return HF_OK;
    }
    if (!is_full(g->root, g->height)) return HF_OK;
    struct gen_branch *root = pool_take(&g->pool, sizeof *root);
    if (root == NULL) return HF_ENOMEM;
    root->count = 1;
    root->first[0] = NULL;
    root->children[0] = g->root;
    g->root = root;
    g->height += 1;
    HF_ASSERT(g->height < GEN_HEIGHT_MAX);
    return HF_OK;
}

int gen_tree_insert(struct generation *g, struct gen_row *row)
{
    int rv = prepare_root(g);
    if (rv != HF_OK) return rv;
    uint8_t table = row->key[0];
    struct slice key = gen_row_key(row);
    void *node = g->root;
    for (unsigned height = g->height; height > 0; height--) {
        struct gen_branch *b = node;
        uint32_t at = child_of(b, table, key);
        if (is_full(b->children[at], height - 1)) {
            rv = split_child(g, b, at, height - 1, row);
            if (rv != HF_OK) return rv; /* splits made so far are harmless */
            at = child_of(b, table, key);
        }
        node = b->children[at];
    }
    struct gen_leaf *leaf = node;
    HF_ASSERT(leaf->count < GEN_FANOUT);
    uint32_t at = place_in(leaf, table, key, false);
    HF_ASSERT(at == leaf->count || compare(table, key, leaf->rows[at]) != 0);
    memmove(leaf->rows + at + 1, leaf->rows + at, (leaf->count - at) * sizeof leaf->rows[0]);
    leaf->rows[at] = row;
    leaf->count += 1;
    return HF_OK;
}

/* The way down to a leaf. */
struct path {
    struct gen_branch *branch[GEN_HEIGHT_MAX]; /**< by height; [0] is not used */
    uint32_t at[GEN_HEIGHT_MAX];               /**< child taken */
};

static struct gen_leaf *find_leaf(const struct generation *g, uint8_t table, struct slice key,
                                  struct path *path)
{
    HF_ASSERT(g->root != NULL);
    HF_ASSERT(g->height < GEN_HEIGHT_MAX);
    void *node = g->root;
    for (unsigned height = g->height; height > 0; height--) {
        struct gen_branch *b = node;
        uint32_t at = child_of(b, table, key);
        path->branch[height] = b;
        path->at[height] = at;
        node = b->children[at];
    }
    return node;
}

/* Give back a leaf that has become empty, and the branches that do so with it. */
static void drop_leaf(struct generation *g, struct gen_leaf *leaf, const struct path *path)
{
    HF_ASSERT(leaf->count == 0);
    if (leaf->prev != NULL) leaf->prev->next = leaf->next;
    if (leaf->next != NULL) leaf->next->prev = leaf->prev;
    pool_give(&g->pool, leaf, sizeof *leaf);
    for (unsigned height = 1; height <= g->height; height++) {
        struct gen_branch *b = path->branch[height];
        uint32_t at = path->at[height];
        HF_ASSERT(at < b->count);
        b->count -= 1;
        memmove(b->first + at, b->first + at + 1, (b->count - at) * sizeof b->first[0]);
        memmove(b->children + at, b->children + at + 1, (b->count - at) * sizeof b->children[0]);
        if (b->count > 0) return;
        pool_give(&g->pool, b, sizeof *b);
    }
    g->root = NULL; /* nothing is left */
    g->height = 0;
}

void gen_tree_remove(struct generation *g, struct gen_row *row)
{
    struct path path;
    struct slice key = gen_row_key(row);
    struct gen_leaf *leaf = find_leaf(g, row->key[0], key, &path);
    uint32_t at = place_in(leaf, row->key[0], key, false);
    HF_ASSERT(at < leaf->count);
    HF_ASSERT(leaf->rows[at] == row);
    leaf->count -= 1;
    memmove(leaf->rows + at, leaf->rows + at + 1, (leaf->count - at) * sizeof leaf->rows[0]);
    if (leaf->count == 0) drop_leaf(g, leaf, &path);
}

struct gen_position generation_seek(const struct generation *g, uint8_t table, struct slice key,
                                    bool behind)
{
    if (g->root == NULL) return (struct gen_position){NULL, 0};
    const void *node = g->root;
    for (unsigned height = g->height; height > 0; height--) {
        const struct gen_branch *b = node;
        node = b->children[child_of(b, table, key)];
    }
    const struct gen_leaf *leaf = node;
    uint32_t at = place_in(leaf, table, key, behind);
    if (at == leaf->count) return (struct gen_position){leaf->next, 0};
    return (struct gen_position){leaf, at};
}
