"""Values and slopes at kinks and poles: the conventions, which are PyTorch's.

Where a function has no derivative, a rule still gives a number, and libraries differ in which.
Every line here is tested, and those on kinks against PyTorch's own numbers, which are the same
where the remark says nothing else.  A slope of inf is no error: a forward pass raises outside the
domain, a backward pass does not.  A slope towards a constant is not computed at all.

| operation  | at         | value                 | slopes               | remark                                |
|------------|------------|-----------------------|----------------------|---------------------------------------|
| relu       | 0          | 0                     | 0                    | a unit at 0 is off                    |
| leaky_relu | 0, 0.01    | 0                     | 0.01, 0              | the slope from the left               |
| abs        | 0          | 0                     | 0                    | between the two sides                 |
| sign       | 0          | 0                     | 0                    |                                       |
| step       | 0          | 0                     | 0                    | so that it is the slope of relu       |
| nonzero    | 0          | 0                     | 0                    | Iverson's bracket                     |
| maximum    | 1, 1       | 1                     | 0.5, 0.5             | a tie is shared                       |
| minimum    | 1, 1       | 1                     | 0.5, 0.5             | a tie is shared                       |
| where      | 0, 2, 3    | 3                     | 0, 0, 1              | 0 is false                            |
| where      | 1, 2, 3    | 2                     | 0, 1, 0              | any other number is true              |
| pow        | 0, 0       | 1                     | 0, 0                 | x**0 is the constant 1                |
| pow        | 2, 0       | 1                     | 0, 0.6931471805599453 |                                      |
| pow        | -2, 0      | 1                     | 0, nan               | a negative base is not differentiable |
| pow        | -2, 3      | -8                    | 12, nan              | by the exponent                       |
| pow        | 0, 1       | 0                     | 1, 0                 |                                       |
| pow        | 0, 2       | 0                     | 0, 0                 | 0**y is 0 for every y > 0             |
| pow        | 0, 0.5     | 0                     | inf, 0               | as sqrt                               |
| sqrt       | 0          | 0                     | inf                  |                                       |
| cbrt       | 0          | 0                     | inf                  | PyTorch has no cbrt                   |
| asin       | 1          | 1.5707963267948966    | inf                  |                                       |
| asin       | -1         | -1.5707963267948966   | inf                  |                                       |
| acos       | 1          | 0                     | -inf                 |                                       |
| acos       | -1         | 3.141592653589793     | -inf                 |                                       |
| acosh      | 1          | 0                     | inf                  |                                       |
| hypot      | 0, 0       | 0                     | nan, nan             | the tip of a cone                     |
| atan2      | 0, 0       | 0                     | nan, nan             | PyTorch: 0, 0                         |
| atan2      | 0, -1      | 3.141592653589793     | -1, 0                | one side of the cut                   |
| relu       | nan        | nan                   | nan                  | PyTorch: 1                            |
| abs        | nan        | nan                   | nan                  | PyTorch: 0                            |
| maximum    | nan, 1     | nan                   | nan, nan             | PyTorch: 1, 1                         |
| maximum    | 1, nan     | nan                   | nan, nan             | PyTorch: 1, 1                         |
| minimum    | nan, 1     | nan                   | nan, nan             | PyTorch: 1, 1                         |
| minimum    | 1, nan     | nan                   | nan, nan             | PyTorch: 1, 1                         |
| where      | nan, 2, 3  | nan                   | 0, nan, nan          | PyTorch takes nan for true            |
| sigmoid    | -1000      | 0                     | 0                    | no overflow for any finite number     |
| softplus   | 1000       | 1000                  | 1                    |                                       |
| logsumexp  | 1000, 0    | 1000                  | 1, 0                 |                                       |

Away from kinks, these differ from PyTorch, on purpose:

- Outside a domain, at a pole and where it overflows, a value is Python's error, and not inf or nan: a forward
  pass that goes on with them hides where they came from.
- An adjoint of 0 hands on 0 through an infinite slope, so that where(x, sqrt(x), 0) has the slope 0 at 0;
  PyTorch's and JAX's is nan.  An infinite adjoint times a slope of 0 is nan, as in IEEE 754; PyTorch makes it 0
  where it selects: in relu, where, maximum and minimum.
- softplus is right everywhere; from 20 on, PyTorch's is x itself, which is up to 2e-9 too small.
- logsumexp of 0 and -40 is 4e-18, PyTorch's and JAX's is 0: the small terms are added to 0, not to 1.
- The slope of expm1 is exp(x); PyTorch's and JAX's is z + 1, which has no digits left below -37.
- The slope of x**y by x, differentiated by y, is 1/x at y = 0; PyTorch says 0.
- cbrt, step, nonzero, fsum and sumprod are no functions of PyTorch.  The sums are rounded once, by math.fsum.
"""
