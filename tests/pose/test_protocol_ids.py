"""Numbers of different crops have different ids and are never shown as if they were equal."""

from handssl.pose.protocol_ids import primary_protocol, protocol_words, protocols_of


def test_every_source_of_boxes_has_its_own_id():
    ids = [primary_protocol(boxes) for boxes in ("published", "extent", "detector")]
    assert ids == ["root_gtroot_20_boxpub", "root_gtroot_20", "root_gtroot_20_boxdet"]


def test_trials_recorded_before_there_was_a_choice_have_the_id_of_the_extent():
    assert protocols_of([{}, {"protocol": "root_gtroot_20"}]) == ("root_gtroot_20",)


def test_a_page_with_two_protocols_says_not_to_compare_them():
    both = protocols_of([{}, {"protocol": "root_gtroot_20_boxpub"}])
    assert "do not compare" in protocol_words(both)
    assert protocol_words(both[:1]) == "root_gtroot_20"
