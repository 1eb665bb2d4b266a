import torch

from training.muon import Muon, orthogonalize


def test_all_directions_of_a_matrix_become_about_equally_long() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((64, 64), (32, 288), (256, 48)):
        matrix = torch.randn(shape, generator=generator) * 1e-4
        lengths = torch.linalg.svdvals(orthogonalize(matrix))
        assert lengths.median() > 0.65
        assert lengths.max() < 1.3
        assert orthogonalize(matrix).shape == shape


def test_without_a_gradient_nothing_moves() -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([{"params": [weight], "weight_decay": 0.0}], lr=0.1)
    optimizer.step()
    optimizer.zero_grad()
    assert not weight.any()


def test_a_badly_scaled_problem_is_solved_and_goes_on_from_its_state() -> None:
    """One direction's gradient is a thousand times as steep as the other's."""
    wanted, scale = torch.tensor([[1.0, -1.0], [0.5, 2.0]]), torch.tensor([[1000.0], [1.0]])
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = Muon([{"params": [weight], "weight_decay": 0.0}], lr=0.1)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        (scale * (weight - wanted).square()).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (weight - wanted).abs().max() < 0.05
    again = Muon([{"params": [weight], "weight_decay": 0.0}], lr=0.1)
    again.load_state_dict(optimizer.state_dict())
    assert torch.equal(again.state[weight]["momentum"], optimizer.state[weight]["momentum"])
