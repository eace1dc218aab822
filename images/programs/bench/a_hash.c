// A hash map of chained nodes in one pool: 2,000 inserts, finds and removals each turn over 32,768 keys, n turns.
#include "bench.h"
#define BUCKETS 16384
#define KEYS 32768
struct node { struct node *next; uint64_t key, value; };
static struct node pool[KEYS], *bucket[BUCKETS], *unused;
static inline size_t slot(uint64_t key) { return (key * 0x9e3779b97f4a7c15ull) >> 50; }
static struct node *find(uint64_t key) {
  struct node *e = bucket[slot(key)];
  while (e != NULL && e->key != key) e = e->next;
  return e;
}
static void add(uint64_t key, uint64_t value) {
  struct node *e = find(key);
  if (e == NULL) {
    e = unused; unused = e->next;
    e->key = key; e->next = bucket[slot(key)]; bucket[slot(key)] = e;
  }
  e->value = value;
}
static uint64_t take(uint64_t key) {
  for (struct node **p = &bucket[slot(key)]; *p != NULL; p = &(*p)->next) {
    struct node *e = *p;
    if (e->key != key) continue;
    *p = e->next; e->next = unused; unused = e;
    return e->value;
  }
  return 0;
}
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 1500);
  for (int i = 0; i < KEYS; i++) { pool[i].next = unused; unused = &pool[i]; }
  uint64_t sum = 0;
  for (long it = 0; it < n; it++)
    for (int i = 0; i < 2000; i++) {
      uint64_t r = bench_rng();
      add(r % KEYS, r);
      struct node *e = find((r >> 20) % KEYS);
      sum = sum * 3 + (e != NULL ? e->value : 1);
      sum ^= take((r >> 40) % KEYS);
    }
  return bench_end("a_hash", n, sum);
}
