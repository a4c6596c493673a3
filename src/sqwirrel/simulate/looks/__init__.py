"""Many looks at few modes: wavevectors that share their modes differ in what a neutron sees of them only."""
