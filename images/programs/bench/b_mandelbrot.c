// The Mandelbrot set in doubles: 160x120 points, at most 256 turns each, a little nearer every time; n pictures.
#include "bench.h"
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 30);
  uint64_t sum = 0;
  double width = 3.0;
  for (long it = 0; it < n; it++) {
    for (int row = 0; row < 120; row++)
      for (int column = 0; column < 160; column++) {
        double cx = -0.75 + width * (column - 80) / 160, cy = 0.1 + width * (row - 60) / 160, x = 0, y = 0;
        int turn = 0;
        for (; turn < 256 && x * x + y * y < 4; turn++) { double t = x * x - y * y + cx; y = 2 * x * y + cy; x = t; }
        sum = sum * 3 + (uint64_t)turn;
      }
    width *= 0.97;
  }
  return bench_end("b_mandelbrot", n, sum);
}
