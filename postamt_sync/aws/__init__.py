"""What both sides need of AWS: what its errors mean, prices, regions, a function's zip."""
