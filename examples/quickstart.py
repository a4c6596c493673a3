"""From a simulated measurement of the square-lattice antiferromagnet Rb2MnF4 to its exchange constants, in a few lines.

Model: R. A. Cowley and others, Phys. Rev. B 15, 4292 (1977), doi:10.1103/PhysRevB.15.4292.
"""

import torch

import sqwirrel

model = sqwirrel.library.load("rb2mnf4")
line = torch.linspace(0.55, 1.0, 16, dtype=torch.float64)  # from near the ordering vector to the zone centre
points = sqwirrel.QPath(model.lattice, torch.stack((line, 1 - line, 0 * line), dim=1), box=0.01 * torch.eye(3))
measurement = sqwirrel.Measurement(points, energy=torch.linspace(0.5, 8.0, 61), temperature=5.0)
instrument = sqwirrel.Instrument(sqwirrel.GaussianResolution(), sqwirrel.ConstantBackground(), sqwirrel.Poisson())
experiment = sqwirrel.Experiment(model, measurement, instrument, samples=16)
measured = experiment.sample(experiment.pack(J1=0.65, J2=0.0, D=-0.006, fwhm=0.3, scale=50.0, background=1.0), seed=1)

prior = sqwirrel.Prior(
    J1=sqwirrel.Uniform(0.3, 1.0, "meV"),
    J2=sqwirrel.Uniform(-0.1, 0.1, "meV"),
    D=sqwirrel.Uniform(-0.05, 0.0, "meV"),
    fwhm=sqwirrel.Uniform(0.1, 1.0, "meV"),
    scale=sqwirrel.LogUniform(1.0, 1000.0),
    background=sqwirrel.Uniform(0.0, 10.0),
)
posterior = sqwirrel.infer(experiment, prior, measured, sqwirrel.Settings(draws=300))
for row in posterior.summary():
    print(f"{row.name:10s} {row.median:10.4f}  [{row.interval68[0]:.4f}, {row.interval68[1]:.4f}] {row.unit}")

# The truth, within five standard deviations.
assert abs(float(posterior.median[0]) - 0.65) < 5 * float(posterior.limit[0])
