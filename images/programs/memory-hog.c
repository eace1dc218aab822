/*
 * Uses more memory than the machine has: writes a pattern over 1.5 times MemTotal,
 * then reads it back in another order and checks every word. What does not fit in
 * RAM goes to swap and comes back; the checksum shows that nothing was lost.
 *
 *   memory-hog          1.5 times MemTotal, or what RAM and swap can hold together
 *   memory-hog 64       64 MiB
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB (1024UL * 1024)
#define WORDS_PER_PAGE 512

static unsigned long meminfo_kib(const char *name)
{
    char line[128];
    unsigned long value = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoul(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return value;
}

/* SplitMix64: each word depends on its place only. */
static uint64_t pattern(uint64_t index)
{
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
    unsigned long mib;
    if (argc > 1) {
        mib = strtoul(argv[1], NULL, 10);
    } else {
        unsigned long wanted = meminfo_kib("MemTotal") * 3 / 2 / 1024;
        unsigned long room = (meminfo_kib("MemAvailable") + meminfo_kib("SwapFree") / 10 * 9) / 1024;
        mib = wanted;
        if (room < wanted) {
            mib = room;
            printf("1.5 times MemTotal is %lu MiB; RAM and swap have room for %lu MiB\n", wanted, room);
        }
    }
    size_t pages = mib * (MIB / 4096);
    if (pages == 0) {
        fprintf(stderr, "usage: memory-hog [MIB]\n");
        return 2;
    }
    uint64_t *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("memory-hog: mmap");
        return 1;
    }
    printf("writing %lu MiB\n", mib);
    fflush(stdout);
    for (size_t page = 0; page < pages; page++)
        for (size_t word = 0; word < WORDS_PER_PAGE; word++)
            memory[page * WORDS_PER_PAGE + word] = pattern(page * WORDS_PER_PAGE + word);

    printf("checking\n");
    fflush(stdout);
    uint64_t checksum = 0;
    for (size_t step = 0; step < pages; step++) {
        size_t page = step * 7919 % pages; /* 7919 is prime: scattered, each page once unless it divides pages */
        if (pages % 7919 == 0)
            page = step;
        for (size_t word = 0; word < WORDS_PER_PAGE; word++) {
            uint64_t index = page * WORDS_PER_PAGE + word;
            uint64_t value = memory[index];
            if (value != pattern(index)) {
                printf("page %zu word %zu: %016" PRIx64 " instead of %016" PRIx64 "\n", page, word, value, pattern(index));
                return 1;
            }
            checksum += value;
        }
    }
    printf("checksum %016" PRIx64 " over %lu MiB: all as written\n", checksum, mib);
    return 0;
}
