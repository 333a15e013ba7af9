//! Secrets have no way out (security S38): each place where one can enter gets a secret of its own, and then everything
//! that comes out is searched: every route of the served document for every role, every command, the log at its finest,
//! metrics, an export, a backup, errors and panics.

mod crawl;
mod places;
mod search;
mod world;

use self::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn s38_s50_no_secret_comes_out_anywhere() {
    let mut world = World::new().await;
    world.enter_by_command().await;
    world.enter_by_request().await;
    world.enter_by_config().await;
    crawl::routes(&mut world).await;
    crawl::commands(&mut world).await;
    crawl::files(&mut world).await;
    let (places, looked_at) = (world.canaries.count(), world.looked_at);
    println!("s38: {places} secrets, {looked_at} things that came out, {} leaks", world.leaks.len());
    assert!(places >= 40, "only {places} secrets went in");
    assert!(looked_at >= 400, "only {looked_at} things were looked at");
    assert!(world.leaks.is_empty(), "\n{}", world.leaks.join("\n"));
}
