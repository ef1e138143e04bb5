from party_agent import nvidia


def test_gpus_that_the_site_names_are_its_inventory():
    named = nvidia.detect().ids or ("a", "b")
    assert nvidia.inventory(named).ids == named


def test_a_machine_without_a_driver_has_what_its_site_names_and_nothing_else():
    detected = nvidia.detect()
    assert nvidia.inventory(()).ids == detected.ids
