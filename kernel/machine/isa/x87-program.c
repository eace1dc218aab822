/* What x87.test.ts runs natively and in the emulated machine: long double arithmetic, conversions and libm, printed. */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static long double series(int n) {
  long double sum = 0;
  for (int i = 1; i <= n; i++) sum += 1.0L / ((long double)i * i);
  return sqrtl(6 * sum);
}

int main(void) {
  const char *const texts[] = {"0.1", "1e-4940", "3.1415926535897932384626433832795", "1.18973149535723176502e+4932", "-0", "nan", "1e400", "2.5"};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
    long double x = strtold(texts[i], 0);
    double d = strtod(texts[i], 0);
    printf("%s: %.20Lg %La %.17g %.3f %Lf\n", texts[i], x, x, d, d, x < 1e30L && x > -1e30L ? x : 0);
  }
  printf("%.20Lg %.20Lg\n", series(10000), LDBL_EPSILON);
  printf("%.20Lg %.20Lg %.20Lg\n", sqrtl(2), cbrtl(3), hypotl(3, 4));
  printf("%.17Lg %.17Lg %.17Lg\n", expl(1), logl(10), powl(2, 0.5L));
  printf("%.17Lg %.17Lg %.17Lg %.17Lg\n", sinl(1), cosl(1), tanl(1), atan2l(1, 3));
  printf("%.20Lg %.20Lg %.20Lg\n", fmodl(1e300L, 7), remainderl(10, 3.3L), scalblnl(1.5L, -300));
  const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int i = 0; i < 4; i++) {
    fesetround(modes[i]);
    volatile long double one = 1, three = 3, minus = -2.5L;
    printf("%.20Lg %.20Lg %lld %.20Lg\n", one / three, rintl(minus), llrintl(minus), (long double)(double)(one / three));
  }
  fesetround(FE_TONEAREST);
  feclearexcept(FE_ALL_EXCEPT);
  volatile long double zero = 0, quotient = 1 / zero;
  printf("%Lf %x\n", quotient, fetestexcept(FE_ALL_EXCEPT) & (FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW));
  unsigned long long large = 0xffffffffffffffffull;
  volatile long double whole = large;
  printf("%.20Lg %llu %d\n", whole, (unsigned long long)whole, (int)(short)-12345.75L);
  return 0;
}
